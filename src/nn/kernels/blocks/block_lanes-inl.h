// What the bytes of a tile mean to a product, type by type, written once for every instruction set. Included inside of a
// namespace that has Word (32-bit lanes, a row each), Float and the few functions on them that are used here, with
// TESSERA_BLOCKS_INLINE saying how functions are inlined and for which instructions. For that reason there is no guard.

constexpr uint32_t low_halves = 0x0F0F0F0F;

/// Where the quants of a tile begin.
template <BlockType type> constexpr int quants_at() {
  switch (type) {
    case BlockType::q8_0:
    case BlockType::q4_0:
      return 32;
    case BlockType::q4_1:
      return 64;
    case BlockType::q5_0:
      return 96;
    case BlockType::q5_1:
      return 128;
    case BlockType::q4_k:
      return 256;
    case BlockType::q5_k:
      return 768;
    default:
      return 288;  // q6_K
  }
}

/// Unsigned bytes of inputs 4 k to 4 k + 3 of span `sub`, for the rows from `first`.
template <BlockType type> TESSERA_BLOCKS_INLINE Word quants(const uint8_t* tile, int sub, int k, int first) {
  using enum BlockType;
  const uint8_t* from = tile + quants_at<type>() + 4 * first;
  if constexpr (type == q8_0) {
    return load_words(from + 64 * k);
  } else if constexpr (type == q4_0 || type == q4_1) {
    const Word both = load_words(from + 64 * (k % 4));
    return masked(k < 4 ? both : shifted_right(both, 4), low_halves);
  } else if constexpr (type == q5_0 || type == q5_1) {
    const Word both = load_words(from + 64 * (k % 4));
    const Word low = masked(k < 4 ? both : shifted_right(both, 4), low_halves);
    return with_bits(low, rotated_right(load_words(from - 64), k - 4), 0x10101010);
  } else if constexpr (type == q4_k || type == q5_k) {
    const Word low = masked(shifted_right(load_words(from + 512 * (sub / 2) + 64 * k), sub % 2 * 4), low_halves);
    if constexpr (type == q4_k) return low;
    return with_bits(low, rotated_right(load_words(tile + 256 + 64 * k + 4 * first), sub - 4), 0x10101010);
  } else {
    const int half = sub / 8, quarter = sub / 2 % 4, word = sub % 2 * 4 + k;
    const Word both = load_words(from + 64 * (16 * half + 8 * (quarter % 2) + word));
    const Word low = masked(shifted_right(both, quarter / 2 * 4), low_halves);
    const Word high = load_words(from + 2048 + 64 * (8 * half + word));
    return with_bits(low, rotated_right(high, 2 * quarter - 4), 0x30303030);
  }
}

template <BlockType type> TESSERA_BLOCKS_INLINE Float scale(const uint8_t* tile, int sub, int first) {
  using enum BlockType;
  const Float d = load_halves(tile + 2 * first);
  if constexpr (type == q4_k || type == q5_k) {
    const Word low = load_bytes(tile + 64 + 16 * sub + first);
    const Word high = shifted_right(load_bytes(tile + 192 + 16 * (sub / 2) + first), sub % 2 * 4);
    return product(d, to_float(with_bits(masked(low, 15), shifted_left(high, 4), 48)));
  } else if constexpr (type == q6_k) {
    return product(d, to_float(load_signed_bytes(tile + 32 + 16 * sub + first)));
  } else {
    return d;
  }
}

/// For forms with offsets.
template <BlockType type> TESSERA_BLOCKS_INLINE Float offset(const uint8_t* tile, int sub, int first) {
  using enum BlockType;
  const Float min = load_halves(tile + 32 + 2 * first);
  if constexpr (type == q4_k || type == q5_k) {
    const Word low = load_bytes(tile + 64 + 16 * sub + first);
    const Word high = shifted_right(load_bytes(tile + 192 + 16 * (sub / 2) + first), sub % 2 * 4);
    return negated(product(min, to_float(with_bits(shifted_right(low, 4), shifted_left(high, 2), 48))));
  } else {
    return min;
  }
}
