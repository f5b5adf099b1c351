// Vectors of sixteen fp32 numbers that the compiler maps to any processor's registers, for kernels that attend. Included inside of an
// anonymous namespace, after <bit>, <cstdint> and <cstring>; for that reason there is no guard.

constexpr int64_t lanes = 16;
typedef float Floats __attribute__((vector_size(64), aligned(4)));
typedef int32_t Ints __attribute__((vector_size(64), aligned(4)));
typedef uint32_t Words __attribute__((vector_size(64), aligned(4)));
typedef uint16_t Shorts __attribute__((vector_size(32), aligned(2)));
typedef uint8_t Bytes __attribute__((vector_size(16), aligned(1)));

TESSERA_BODY void load(const float* from, Floats& to) { std::memcpy(&to, from, sizeof to); }
TESSERA_BODY void load(const uint16_t* from, Floats& to) {
  Shorts bits;
  std::memcpy(&bits, from, sizeof bits);
  const Words wide = __builtin_convertvector(bits, Words) << 16;
  std::memcpy(&to, &wide, sizeof to);
}
TESSERA_BODY void load(const int8_t* from, Floats& to) {
  // GCC widens unsigned numbers to twice the bits in one instruction; signed bytes to floats it takes one by one.
  Bytes bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  const Shorts wide = __builtin_convertvector(bytes ^ 128, Shorts);
  const Ints whole = (Ints) __builtin_convertvector(wide, Words) - 128;
  to = __builtin_convertvector(whole, Floats);
}
TESSERA_BODY void store(const Floats& from, float* to) { std::memcpy(to, &from, sizeof from); }

TESSERA_BODY float one(float x) { return x; }
TESSERA_BODY float one(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }
TESSERA_BODY float one(int8_t x) { return x; }

/// exp(x) for x <= 0 in place, to about 2e-7 of itself, 0 below -87: powers of two and a polynomial.
TESSERA_BODY void exp_in_place(Floats& v) {
  const Floats low = Floats{} - 87.0f;
  const Ints lost = v < low;
  v = lost ? low : v;
  const Ints whole = __builtin_convertvector(v * 1.44269504f - 0.5f, Ints);  // nearest; truncation is towards 0
  const Floats n = __builtin_convertvector(whole, Floats);
  const Floats rest = (v - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  Floats p = Floats{} + 1.0f / 5040;
  p = p * rest + 1.0f / 720;
  p = p * rest + 1.0f / 120;
  p = p * rest + 1.0f / 24;
  p = p * rest + 1.0f / 6;
  p = p * rest + 0.5f;
  p = p * rest + 1.0f;
  p = p * rest + 1.0f;
  const Ints exponent = (whole + 127) << 23;
  Floats power;
  std::memcpy(&power, &exponent, sizeof power);
  v = lost ? Floats{} : p * power;
}

/// The lanes' largest, or their sum.
template <bool largest> TESSERA_BODY float across(const Floats& v) {
  typedef float Eight __attribute__((vector_size(32), aligned(4)));
  typedef float Four __attribute__((vector_size(16), aligned(4)));
  Eight half[2];
  std::memcpy(half, &v, sizeof half);
  const Eight eight = largest ? (half[0] > half[1] ? half[0] : half[1]) : half[0] + half[1];
  Four quarter[2];
  std::memcpy(quarter, &eight, sizeof quarter);
  const Four four = largest ? (quarter[0] > quarter[1] ? quarter[0] : quarter[1]) : quarter[0] + quarter[1];
  const float a = largest ? (four[0] > four[2] ? four[0] : four[2]) : four[0] + four[2];
  const float b = largest ? (four[1] > four[3] ? four[1] : four[3]) : four[1] + four[3];
  return largest ? (a > b ? a : b) : a + b;
}
