// Whether stored tensors are a module's: the same names, shapes and kinds of numbers. Checked before anything is
// filled.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/module.h"
#include "tensor/stored_tensors.h"

namespace tessera {

/// Throws UserError that names the first few missing, unexpected, wrong-shaped and wrong-typed tensors and counts them
/// all. `what` opens the message ("codec"), `path` is in it. Stored tensors for which `passed_over` is true are not
/// unexpected. Floating-point formats agree with each other; others only with themselves.
void require_agreement(const std::vector<NamedTensor>& module, const StoredTensors& stored, const Path& path,
                       std::string_view what, const std::function<bool(std::string_view)>& passed_over = {});

}  // namespace tessera
