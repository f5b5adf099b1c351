// The environment variables of launchers, read strictly; and what needs no process group.
#include <charconv>
#include <optional>

#include <ATen/ops/cat.h>

#include "train/parallel.h"

namespace tessera::train {

namespace {
constexpr int64_t most_processes = 1'000'000;

/// A whole number in a variable, or nothing when it is not set.
std::optional<int64_t> number(const Environment& environment, const std::string& name, int64_t low, int64_t high) {
  const char* text = environment(name.c_str());
  if (text == nullptr || *text == '\0') return std::nullopt;
  const std::string_view digits = text;
  int64_t value = 0;
  const auto [stop, fault] = std::from_chars(digits.begin(), digits.end(), value);
  if (fault != std::errc() || stop != digits.end() || value < low || value > high)
    throw UserError("[train] the variable {} is '{}', want a whole number from {} to {}", name, text, low, high);
  return value;
}

/// The first machine of a Slurm list: "node" of "node,other", "node03" of "node[03-07,9]".
std::string first_machine(std::string_view list) {
  const size_t end = list.find_first_of("[,");
  std::string name(list.substr(0, end));
  if (end == std::string_view::npos || list[end] == ',') return name;
  const std::string_view numbers = list.substr(end + 1);
  name += numbers.substr(0, numbers.find_first_of("-,]"));
  const size_t close = list.find(']', end);
  if (close != std::string_view::npos) name += list.substr(close + 1, list.find(',', close) - close - 1);
  return name;
}

struct Names {
  const char *rank, *count, *local;
};

/// Rank and count as one launcher gives them, when it does.
std::optional<PeerSetup> read_names(const Environment& environment, const Names& names) {
  const auto count = number(environment, names.count, 1, most_processes);
  const auto rank = number(environment, names.rank, 0, most_processes);
  if (!count && !rank) return std::nullopt;
  if (!count || !rank)
    throw UserError("[train] the variable {} is set, but {} is not", count ? names.count : names.rank,
                    count ? names.rank : names.count);
  if (*rank >= *count) throw UserError("[train] {} is {}, but {} is {}", names.rank, *rank, names.count, *count);
  PeerSetup setup{.rank = *rank, .count = *count};
  setup.local_rank = number(environment, names.local, 0, most_processes).value_or(0);
  return setup;
}

/// All processes run on one machine, as far as Open MPI and MPICH say.
bool on_one_machine(const Environment& environment, int64_t count) {
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"}) {
    if (const auto here = number(environment, name, 1, most_processes)) return *here == count;
  }
  return false;
}

/// Numbers of one dtype that travel together: about 64 MB of fp32.
constexpr int64_t bucket_size = 1 << 24;
}  // namespace

PeerSetup peer_setup(const Environment& environment) {
  const char* address = environment("MASTER_ADDR");
  const auto port = number(environment, "MASTER_PORT", 1, 65535);
  const auto placed = [&](PeerSetup setup) {
    if (address != nullptr && *address != '\0') setup.address = address;
    if (port) setup.port = *port;
    return setup;
  };
  const auto known = [&] { return address != nullptr && *address != '\0'; };

  // RANK alone is too common a word to count; torchrun always gives the address as well
  if (environment("WORLD_SIZE") != nullptr && environment("RANK") != nullptr) {
    auto setup = read_names(environment, {"RANK", "WORLD_SIZE", "LOCAL_RANK"});
    const char* held = environment("TORCHELASTIC_USE_AGENT_STORE");
    setup->rendezvous_exists = held != nullptr && std::string_view(held) == "True";
    if (setup->count > 1 && !known())
      throw UserError("[train] WORLD_SIZE is {}, but MASTER_ADDR is not set; want the address of rank 0's machine",
                      setup->count);
    return placed(*setup);
  }
  for (const Names& names : {Names{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
                             Names{"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"}}) {
    const auto setup = read_names(environment, names);
    if (!setup) continue;
    if (setup->count > 1 && !known() && !on_one_machine(environment, setup->count))
      throw UserError(
          "[train] mpirun started {} processes on several machines, but MASTER_ADDR is not set; want the address of "
          "rank 0's "
          "machine, as in mpirun -x MASTER_ADDR=node1",
          setup->count);
    return placed(*setup);
  }
  // SLURM_NTASKS is also set for the one process of a batch script; a step's own number of tasks is not
  if (number(environment, "SLURM_STEP_NUM_TASKS", 1, most_processes).value_or(1) > 1) {
    auto setup = read_names(environment, {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"});
    const char* list = environment("SLURM_STEP_NODELIST");
    if (list == nullptr && !known())
      throw UserError("[train] Slurm gives no SLURM_STEP_NODELIST; set MASTER_ADDR to rank 0's machine");
    if (list != nullptr) setup->address = first_machine(list);
    setup->port = 20000 + number(environment, "SLURM_JOB_ID", 0, INT64_MAX).value_or(0) % 10000;
    return placed(*setup);
  }
  return {};
}

void sum_in_buckets(Peers& peers, const std::vector<Tensor>& tensors) {
  if (peers.count() == 1) return;
  for (size_t begin = 0; begin < tensors.size();) {
    std::vector<Tensor> flat;
    size_t end = begin;
    for (int64_t size = 0; end < tensors.size() && tensors[end].scalar_type() == tensors[begin].scalar_type() &&
                           (flat.empty() || size + tensors[end].numel() <= bucket_size);
         ++end) {
      size += tensors[end].numel();
      flat.push_back(tensors[end].reshape({-1}));
    }
    const Tensor together = at::cat(flat);
    peers.sum({together});
    for (int64_t place = 0; begin < end; ++begin) {
      const Tensor& tensor = tensors[begin];
      tensor.copy_(together.slice(0, place, place + tensor.numel()).view(tensor.sizes()));
      place += tensor.numel();
    }
  }
}

}  // namespace tessera::train
