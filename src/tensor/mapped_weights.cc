// Views that hold the map alive, copies where a view would not do.
#include "tensor/weights.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include "core/error.h"
#include "core/files.h"
#include "tensor/large_pages.h"

namespace tessera {

namespace {

/// Counts words whose exponent bits are all ones. The bytes need not be aligned.
template <class Word> int64_t count_full_exponents(std::string_view bytes, Word exponent) {
  const auto count = static_cast<int64_t>(bytes.size() / sizeof(Word));
  std::atomic<int64_t> total = 0;
  at::parallel_for(0, count, 1 << 18, [&](int64_t begin, int64_t end) {
    constexpr int64_t block = 512;  // what a narrow counter holds, so that the loop becomes wide integer steps
    int64_t found = 0;
    for (int64_t at = begin; at < end; at += block) {
      Word here = 0;
      const char* from = bytes.data() + static_cast<size_t>(at) * sizeof(Word);
      const int64_t stop = std::min(block, end - at);
      for (int64_t i = 0; i < stop; ++i) {
        Word word;
        std::memcpy(&word, from + static_cast<size_t>(i) * sizeof(Word), sizeof(Word));
        here = static_cast<Word>(here + static_cast<Word>((word & exponent) == exponent));
      }
      found += static_cast<int64_t>(here);
    }
    if (found > 0) total += found;
  });
  return total;
}

int64_t count_non_finite(Dtype dtype, std::string_view bytes) {
  switch (dtype) {
    case Dtype::f64:
      return count_full_exponents<uint64_t>(bytes, 0x7FF0000000000000u);
    case Dtype::f32:
      return count_full_exponents<uint32_t>(bytes, 0x7F800000u);
    case Dtype::f16:
      return count_full_exponents<uint16_t>(bytes, 0x7C00u);
    case Dtype::bf16:
      return count_full_exponents<uint16_t>(bytes, 0x7F80u);
    default:
      return 0;
  }
}

/// Whether copies of all slots take no more than half of the memory that is to be had.
bool has_room_for(const std::vector<TensorSlot>& slots, const WeightSource& source) {
  uint64_t bytes = 0;
  for (const TensorSlot& slot : slots) bytes += source.find(slot.name)->bytes.size();
  return bytes <= available_memory() / 2;
}

constexpr int64_t piece_bytes = 64 << 20;

/// Fills `copy`. Each piece of the file is done with at once, checked and copied, and then goes back to the system, so that a
/// table of gigabytes that lies aligned in the file is never in memory twice.
void copy_in_pieces(const StoredTensor& stored, const Tensor& view, const Tensor& copy,
                    const std::function<void(std::string_view piece)>& check) {
  const Tensor to = copy.flatten(), from = view.flatten();
  const auto size = static_cast<int64_t>(view.element_size());
  const int64_t most = piece_bytes / size;
  for (int64_t first = 0; first < from.numel(); first += most) {
    const int64_t count = std::min(most, from.numel() - first);
    const auto piece = stored.bytes.substr(static_cast<size_t>(first * size), static_cast<size_t>(count * size));
    check(piece);
    to.narrow(0, first, count).copy_(from.narrow(0, first, count));
    release_pages(piece);
  }
}

}  // namespace

int64_t count_non_finite(const StoredTensor& stored) { return count_non_finite(stored.dtype, stored.bytes); }

Tensor mapped_tensor(const StoredTensor& stored) {
  if (!is_readable(stored.dtype))
    throw UserError("[weights] tensor '{}' is stored as {}, which is listed, but cannot be read", stored.name,
                    dtype_name(stored.dtype));
  const at::TensorOptions type(scalar_type(stored.dtype));
  const bool aligned = reinterpret_cast<uintptr_t>(stored.bytes.data()) % dtype_size(stored.dtype) == 0;
  if (aligned && !stored.bytes.empty()) {
    return at::from_blob(
        const_cast<char*>(stored.bytes.data()), stored.shape, [owner = stored.owner](void*) {}, type);
  }
  const Tensor copy = at::empty(stored.shape, type);
  if (!stored.bytes.empty()) std::memcpy(copy.mutable_data_ptr(), stored.bytes.data(), stored.bytes.size());
  return copy;
}

void map_weights(const std::vector<TensorSlot>& slots, const WeightSource& source, std::string_view what,
                 const MapOptions& options) {
  std::vector<NamedTensor> wanted;
  for (const TensorSlot& slot : slots) wanted.push_back({slot.name, *slot.tensor});
  require_agreement(wanted, source, what);
  const at::NoGradGuard no_grad;
  const bool copied = options.copied && options.device.is_cpu() && has_room_for(slots, source);
  std::vector<Tensor> found;
  for (const TensorSlot& slot : slots) {
    const StoredTensor& stored = *source.find(slot.name);
    const Tensor view = mapped_tensor(stored);
    const bool kept = !at::isFloatingType(view.scalar_type()) || (options.as_stored && options.as_stored(slot.name));
    const at::ScalarType format = kept ? view.scalar_type() : options.format.value_or(view.scalar_type());
    int64_t non_finite = 0;
    const auto check = [&](std::string_view bytes) {
      if (options.check_numbers) non_finite += count_non_finite(stored.dtype, bytes);
    };
    if (copied || options.writable || format != view.scalar_type() || !options.device.is_cpu()) {
      const Tensor copy = copied ? empty_in_large_pages(view.sizes(), format)
                                 : at::empty(view.sizes(), at::TensorOptions(format).device(options.device));
      copy_in_pieces(stored, view, copy, check);
      found.push_back(copy);
    } else {
      check(stored.bytes);
      found.push_back(view);
    }
    if (non_finite > 0)
      throw UserError("[{}] {}: {} of the {} numbers of tensor '{}' are NaN or infinite; want finite weights", what,
                      source.path().string(), non_finite, view.numel(), slot.name);
  }
  for (size_t i = 0; i < slots.size(); ++i) *slots[i].tensor = found[i];
}

}  // namespace tessera
