// One autograd function: forward without a tape, backward with one of its own.
#include "nn/layers/recompute.h"

#include <utility>

#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

namespace tessera::nn {

namespace {
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Piece = std::function<Tensor(const Tensor&)>;

/// The saved autocast state of one device type, to be restored for a while. Its cache of converted weights stays off: it would carry weights
/// that were converted without a tape into a pass that needs one.
struct Autocast {
  at::DeviceType device;
  bool enabled;
  at::ScalarType type;

  explicit Autocast(at::DeviceType device)
      : device(device), enabled(at::autocast::is_autocast_enabled(device)),
        type(at::autocast::get_autocast_dtype(device)) {}
  void apply() const {
    at::autocast::set_autocast_enabled(device, enabled);
    at::autocast::set_autocast_dtype(device, type);
  }
};

class AutocastGuard {
 public:
  explicit AutocastGuard(const Autocast& wanted)
      : before_(wanted.device), cached_(at::autocast::is_autocast_cache_enabled()) {
    at::autocast::set_autocast_cache_enabled(false);
    wanted.apply();
  }
  ~AutocastGuard() {
    before_.apply();
    at::autocast::set_autocast_cache_enabled(cached_);
  }

 private:
  Autocast before_;
  bool cached_;
};

/// What the backward pass needs beside x and the parameters.
struct Kept final : torch::CustomClassHolder {
  Kept(Piece piece, at::DeviceType device) : piece(std::move(piece)), autocast(device) {}
  Piece piece;
  Autocast autocast;
};

struct Recomputed : torch::autograd::Function<Recomputed> {
  static Tensor forward(AutogradContext* context, const Tensor& x, at::TensorList trained,
                        const c10::intrusive_ptr<Kept>& kept) {
    variable_list all{x};
    all.insert(all.end(), trained.begin(), trained.end());
    context->save_for_backward(std::move(all));
    context->saved_data["kept"] = c10::IValue::make_capsule(kept);
    const AutocastGuard autocast(kept->autocast);
    return kept->piece(x);  // a custom function's forward runs without a tape
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto capsule = context->saved_data["kept"].toCapsule();
    const Kept& kept = static_cast<const Kept&>(*capsule);
    variable_list wanted = context->get_saved_variables();
    const bool x_wanted = context->needs_input_grad(0);
    const Tensor x = wanted[0].detach().requires_grad_(x_wanted);
    Tensor y;
    {
      const at::AutoGradMode tape(true);
      const AutocastGuard autocast(kept.autocast);
      y = kept.piece(x);
    }
    wanted[0] = x;
    if (!x_wanted) wanted.erase(wanted.begin());
    variable_list found =
        torch::autograd::grad({y}, wanted, {gradients[0]}, /*retain_graph=*/false, /*create_graph=*/false,
                              /*allow_unused=*/true);
    if (!x_wanted) found.insert(found.begin(), Tensor());
    found.emplace_back();  // for `kept`
    return found;
  }
};
}  // namespace

Tensor recomputed(const Piece& f, const Tensor& x, const std::vector<Tensor>& trained) {
  if (!at::GradMode::is_enabled() || (trained.empty() && !x.requires_grad())) return f(x);
  return Recomputed::apply(x, at::TensorList(trained), c10::make_intrusive<Kept>(f, x.device().type()));
}

}  // namespace tessera::nn
