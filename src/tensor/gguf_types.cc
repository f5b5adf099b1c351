// The table of ggml's storage types (ggml.h, enum ggml_type; sizes as in gguf-py's GGML_QUANT_SIZES). Being listed means that a file
// can be looked at; what can be multiplied is the matter of nn/packed.
#include <algorithm>
#include <array>
#include <cctype>

#include "tensor/gguf.h"

namespace tessera {

namespace {
constexpr std::array gguf_types{
    GgufType{0, "f32", 1, 4, Dtype::f32},    GgufType{1, "f16", 1, 2, Dtype::f16},
    GgufType{2, "q4_0", 32, 18, {}},         GgufType{3, "q4_1", 32, 20, {}},
    GgufType{6, "q5_0", 32, 22, {}},         GgufType{7, "q5_1", 32, 24, {}},
    GgufType{8, "q8_0", 32, 34, {}},         GgufType{9, "q8_1", 32, 40, {}},
    GgufType{10, "q2_K", 256, 84, {}},       GgufType{11, "q3_K", 256, 110, {}},
    GgufType{12, "q4_K", 256, 144, {}},      GgufType{13, "q5_K", 256, 176, {}},
    GgufType{14, "q6_K", 256, 210, {}},      GgufType{15, "q8_K", 256, 292, {}},
    GgufType{16, "iq2_xxs", 256, 66, {}},    GgufType{17, "iq2_xs", 256, 74, {}},
    GgufType{18, "iq3_xxs", 256, 98, {}},    GgufType{19, "iq1_s", 256, 50, {}},
    GgufType{20, "iq4_nl", 32, 18, {}},      GgufType{21, "iq3_s", 256, 110, {}},
    GgufType{22, "iq2_s", 256, 82, {}},      GgufType{23, "iq4_xs", 256, 136, {}},
    GgufType{24, "i8", 1, 1, Dtype::i8},     GgufType{25, "i16", 1, 2, Dtype::i16},
    GgufType{26, "i32", 1, 4, Dtype::i32},   GgufType{27, "i64", 1, 8, Dtype::i64},
    GgufType{28, "f64", 1, 8, Dtype::f64},   GgufType{29, "iq1_m", 256, 56, {}},
    GgufType{30, "bf16", 1, 2, Dtype::bf16}, GgufType{34, "tq1_0", 256, 54, {}},
    GgufType{35, "tq2_0", 256, 66, {}},      GgufType{39, "mxfp4", 32, 17, {}},
    GgufType{40, "nvfp4", 64, 36, {}},       GgufType{41, "q1_0", 128, 18, {}},
};

bool same_letters(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}
}  // namespace

const GgufType* gguf_type(uint32_t id) {
  const auto* found = std::ranges::find(gguf_types, id, &GgufType::id);
  return found == gguf_types.end() ? nullptr : found;
}

const GgufType* gguf_type(std::string_view name) {
  const auto* found =
      std::ranges::find_if(gguf_types, [&](const GgufType& type) { return same_letters(type.name, name); });
  return found == gguf_types.end() ? nullptr : found;
}

}  // namespace tessera
