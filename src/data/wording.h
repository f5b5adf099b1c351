// The same claim in other words: what people type is seldom what a catalogue says.
#pragma once

#include <string>
#include <string_view>

#include "core/rng.h"
#include "data/scene.h"

namespace tessera::data {

/// One thing: "red apple" becomes "a red apple", "apple red", "picture of a red apple", ...
std::string in_other_words(std::string_view name, Rng& rng);

/// A scene's claim (caption_of): things in another order, with other joining words, the relation turned round ("a cat right
/// of a dog" for "a dog left of a cat"), numbers as digits, the ground first or last.
std::string in_other_words(const Scene& scene, Rng& rng);

}  // namespace tessera::data
