// The comparison behind every load.
#include "tensor/weights.h"

#include <map>
#include <utility>

#include "core/error.h"

namespace tessera {

namespace {
bool converts(at::ScalarType from, at::ScalarType to) {
  return from == to || (at::isFloatingType(from) && at::isFloatingType(to));
}

/// The first few of many complaints, and how many there are.
class Complaints {
 public:
  explicit Complaints(std::string kind) : kind_(std::move(kind)) {}
  void add(std::string text) {
    constexpr int64_t shown = 3;
    if (count_++ < shown) text_ += (text_.empty() ? "" : ", ") + std::move(text);
  }
  bool empty() const { return count_ == 0; }
  std::string text() const { return fmt::format("{} {} ({}{})", count_, kind_, text_, count_ > 3 ? ", ..." : ""); }

 private:
  std::string kind_, text_;
  int64_t count_ = 0;
};

}  // namespace

void require_agreement(const std::vector<NamedTensor>& module, const WeightSource& source, std::string_view what) {
  Complaints missing("missing"), unexpected("unexpected"), shapes("of another shape"), types("of another type");
  std::map<std::string_view, const Tensor*> wanted;
  for (const auto& [name, tensor] : module) {
    wanted[name] = &tensor;
    const StoredTensor* stored = source.find(name);
    if (stored == nullptr) {
      missing.add(name);
    } else if (tensor.sizes() != stored->shape) {
      shapes.add(fmt::format("{}: got {}, want {}", name, shape_text(stored->shape), shape_text(tensor.sizes().vec())));
    } else if (!stored->blocks.empty() || !is_readable(stored->dtype) ||
               !converts(scalar_type(stored->dtype), tensor.scalar_type())) {
      types.add(fmt::format("{}: got {}, want {}", name,
                            stored->blocks.empty() ? dtype_name(stored->dtype) : std::string_view(stored->blocks),
                            dtype_name(dtype_of(tensor.scalar_type()))));
    }
  }
  for (const auto& [name, stored] : source.tensors()) {
    if (!wanted.contains(name)) unexpected.add(stored.name);
  }
  std::string all;
  for (const Complaints* list : {&missing, &unexpected, &shapes, &types}) {
    if (!list->empty()) all += (all.empty() ? "" : "; ") + list->text();
  }
  if (!all.empty()) throw UserError("[{}] {} does not fit this model; tensors: {}", what, source.path().string(), all);
}

}  // namespace tessera
