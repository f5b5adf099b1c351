// Several processes, on one machine or many, that train one model together: each works on its share of every step's micro-batches,
// gradients are summed over all, and so all take the same step. Started by torchrun, mpirun or Slurm; the environment of each has
// variables who a process is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <c10/core/Device.h>

#include "core/error.h"
#include "tensor/tensor.h"

namespace tessera::train {

/// Who this process is among those that were started together, and where they meet.
struct PeerSetup {
  int64_t rank = 0;
  int64_t count = 1;
  int64_t local_rank = 0;             // among those of this machine: which card it takes
  std::string address = "127.0.0.1";  // of the machine of rank 0
  int64_t port = 29500;
  bool rendezvous_exists = false;  // torchrun holds it; otherwise rank 0 does
  bool operator==(const PeerSetup&) const = default;
};

/// The value of an environment variable, or null.
using Environment = std::function<const char*(const char*)>;

/// Reads torchrun's RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT; else Open MPI's OMPI_COMM_WORLD_*; else MPICH's PMI_*; else
/// Slurm's SLURM_PROCID, SLURM_STEP_NUM_TASKS and SLURM_STEP_NODELIST. One process when there are none of them.
/// Throws UserError when they contradict each other or say too little.
PeerSetup peer_setup(const Environment& environment);

/// Another process of the run has ended or does not answer.
class LostPeer : public FaultError {
 public:
  using FaultError::FaultError;
};

/// The processes of a run. Every process makes the same calls in the same order. This base is a run of one process.
class Peers {
 public:
  virtual ~Peers() = default;
  virtual int64_t rank() const { return 0; }
  virtual int64_t count() const { return 1; }
  bool leads() const { return rank() == 0; }  // logs, measures, writes

  /// Each tensor becomes its sum over all processes, in place. Throws LostPeer.
  virtual void sum(const std::vector<Tensor>&) {}
  /// Each tensor becomes what it is in rank 0, in place. Throws LostPeer.
  virtual void broadcast(const std::vector<Tensor>&) {}
  /// After LostPeer: whether this process is the one to save the run's state: rank 0, or rank 1 when rank 0 has ended.
  virtual bool leads_after_loss() { return true; }
};

/// Meets the other processes; gives the run of one process when setup.count is 1. `timeout` in seconds: how long to wait for them
/// here, and for a word from them in every later call. Throws FaultError when they do not come, UserError in a build without c10d.
std::unique_ptr<Peers> join_peers(const PeerSetup& setup, at::Device device, double timeout);

/// Sums many tensors in few calls: neighbours of one format travel together.
void sum_in_buckets(Peers& peers, const std::vector<Tensor>& tensors);

}  // namespace tessera::train
