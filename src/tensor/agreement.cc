// The comparison behind every load.
#include "tensor/mapped_weights.h"

#include <map>
#include <utility>

#include "core/error.h"
#include "tensor/weights.h"

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

void require_agreement(const std::vector<NamedTensor>& module, const StoredTensors& stored, const Path& path,
                       std::string_view what, const std::function<bool(std::string_view)>& passed_over) {
  Complaints missing("missing"), unexpected("unexpected"), shapes("of another shape"), types("of another type");
  std::map<std::string_view, const Tensor*> wanted;
  for (const auto& [name, tensor] : module) {
    wanted[name] = &tensor;
    const auto* item = stored.find(name);
    if (item == nullptr) {
      missing.add(name);
    } else if (tensor.sizes() != item->entry->shape) {
      shapes.add(
          fmt::format("{}: got {}, want {}", name, shape_text(item->entry->shape), shape_text(tensor.sizes().vec())));
    } else if (!converts(scalar_type(item->entry->dtype), tensor.scalar_type())) {
      types.add(fmt::format("{}: got {}, want {}", name, dtype_name(item->entry->dtype),
                            dtype_name(dtype_of(tensor.scalar_type()))));
    }
  }
  for (const auto& [name, item] : stored.items()) {
    if (!wanted.contains(name) && !(passed_over && passed_over(name))) unexpected.add(name);
  }
  std::string all;
  for (const Complaints* list : {&missing, &unexpected, &shapes, &types}) {
    if (!list->empty()) all += (all.empty() ? "" : "; ") + list->text();
  }
  if (!all.empty()) throw UserError("[{}] {} does not fit this model; tensors: {}", what, path.string(), all);
}

}  // namespace tessera
