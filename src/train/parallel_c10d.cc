// Peers on LibTorch's own c10d: a TCP store to meet at, Gloo for tensors on the CPU, NCCL for tensors on cards where it is built in.
#include <chrono>
#include <cstdlib>

#include <ATen/ops/zeros.h>

#include <c10/util/Exception.h>
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#if defined(USE_C10D_NCCL) && __has_include(<nccl.h>)
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#define TESSERA_NCCL 1
#endif

#include "train/parallel.h"

namespace tessera::train {

namespace {
using std::chrono::milliseconds;

/// The message of c10d without its stack, its source file and its advice: "[pair.cc:537] Read error: reset by peer. This is typically ..."
std::string reason(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string text = torch_error ? torch_error->what_without_backtrace() : error.what();
  text = text.substr(0, text.find('\n'));
  if (const size_t place = text.find("] "); text.starts_with('[') && place != std::string::npos)
    text.erase(0, place + 2);
  return text.substr(0, text.find(". "));
}

/// c10d logs each failed call with its stack; here the one line of the error is enough.
void quieten_c10d() {
  if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) FLAGS_caffe2_log_level = 2;  // errors only
}

bool is_here(const std::string& address) {
  return address == "127.0.0.1" || address == "localhost" || address == "::1";
}

c10::intrusive_ptr<c10d::ProcessGroupGloo::Options> gloo_options(const PeerSetup& setup, milliseconds timeout) {
  using Gloo = c10d::ProcessGroupGloo;
  auto options = Gloo::Options::create(timeout);
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");  // c10d's own variable for machines with several networks
  options->devices.push_back(interface != nullptr     ? Gloo::createDeviceForInterface(interface)
                             : is_here(setup.address) ? Gloo::createDeviceForHostname("127.0.0.1")
                                                      : Gloo::createDefaultDevice());
  options->timeout = timeout;
  return options;
}

class C10dPeers final : public Peers {
 public:
  C10dPeers(const PeerSetup& setup, at::Device device, milliseconds timeout) : setup_(setup), timeout_(timeout) {
    c10d::TCPStoreOptions options;
    options.port = static_cast<uint16_t>(setup.port);
    options.isServer = setup.rank == 0 && !setup.rendezvous_exists;
    options.numWorkers = static_cast<size_t>(setup.count);
    options.timeout = timeout;
    store_ =
        c10::make_intrusive<c10d::PrefixStore>("tessera", c10::make_intrusive<c10d::TCPStore>(setup.address, options));
    gloo_ = c10::make_intrusive<c10d::ProcessGroupGloo>(store_, static_cast<int>(setup.rank),
                                                        static_cast<int>(setup.count), gloo_options(setup, timeout));
#ifdef TESSERA_NCCL
    if (device.is_cuda()) {
      nccl_ = c10::make_intrusive<c10d::ProcessGroupNCCL>(c10::make_intrusive<c10d::PrefixStore>("nccl", store_),
                                                          static_cast<int>(setup.rank), static_cast<int>(setup.count));
    }
#endif
    broadcast({at::zeros({1})});  // connections are made by the first call: whoever is missing is missed here
  }

  int64_t rank() const override { return setup_.rank; }
  int64_t count() const override { return setup_.count; }

  void sum(const std::vector<Tensor>& tensors) override {
    each(tensors, [](c10d::Backend& group, std::vector<Tensor>& one) { return group.allreduce(one); });
  }
  void broadcast(const std::vector<Tensor>& tensors) override {
    each(tensors, [](c10d::Backend& group, std::vector<Tensor>& one) { return group.broadcast(one); });
  }

  bool leads_after_loss() override {
    constexpr const char* sign = "rank 0 is alive";
    try {
      if (setup_.rank == 0) store_->set(sign, std::vector<uint8_t>{1});
      if (setup_.rank == 1) store_->wait({sign}, milliseconds(10'000));
    } catch (const std::exception&) {
      return setup_.rank <= 1;  // no sign, or no file to look in: rank 0 held it
    }
    return setup_.rank == 0;
  }

 private:
  template <class Call> void each(const std::vector<Tensor>& tensors, Call call) {
    try {
      for (const Tensor& tensor : tensors) {
        const bool direct = nccl_ && tensor.is_cuda();
        std::vector<Tensor> one = {direct || tensor.is_cpu() ? tensor.contiguous() : tensor.cpu()};
        c10d::Backend& group = direct ? *nccl_ : *gloo_;
        call(group, one)->wait(timeout_);
        if (!one[0].is_same(tensor)) tensor.copy_(one[0]);
      }
    } catch (const std::exception& error) {
      throw LostPeer("[train] process {} of {} has lost another: {}", setup_.rank, setup_.count, reason(error));
    }
  }

  PeerSetup setup_;
  milliseconds timeout_;
  c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<c10d::Backend> gloo_, nccl_;
};
}  // namespace

std::unique_ptr<Peers> join_peers(const PeerSetup& setup, at::Device device, double timeout) {
  if (setup.count == 1) return std::make_unique<Peers>();
  quieten_c10d();
  const at::NoGradGuard no_grad;
  const auto limit = milliseconds(static_cast<int64_t>(timeout * 1000));
  try {
    return std::make_unique<C10dPeers>(setup, device, limit);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw FaultError("[train] process {} of {} could not meet the others at {}:{} within {} s: {}", setup.rank,
                     setup.count, setup.address, setup.port, timeout, reason(error));
  }
}

}  // namespace tessera::train
