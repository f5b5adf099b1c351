// Filters of token sampling against transformers' logits processors (tools/golden/sampling_twin.py).
#include <gtest/gtest.h>

#include <unordered_set>

#include "generate/token_sampling.h"
#include "tests/golden/fixture.h"

namespace tessera::golden {

TEST(SamplingGolden, CandidatesAndTheirProbabilitiesAreThoseOfTheReference) {
  const Fixture fixture("sampling");
  const Tensor &settings = fixture["settings"], &seen = fixture["seen"], &expected = fixture["probabilities"];
  const double* setting = settings.const_data_ptr<double>();
  for (int64_t c = 0; c < expected.size(0); ++c, setting += 5) {
    std::unordered_set<int32_t> tokens;
    for (int64_t i = 0; i < seen.size(1); ++i) tokens.insert(static_cast<int32_t>(seen[c][i].item<int64_t>()));
    Tensor logits = fixture["logits"][c].clone();
    if (setting[0] != 1) generate::penalise(logits, tokens, setting[0]);
    Tensor got = at::zeros({expected.size(1)});
    for (const generate::Candidate& candidate : generate::candidates(logits, {.temperature = setting[1],
                                                                             .top_k = static_cast<int64_t>(setting[2]),
                                                                             .top_p = setting[3],
                                                                             .min_p = setting[4]})) {
      got[candidate.id] = candidate.probability;
    }
    const std::string what = fmt::format("case {} (penalty {}, temperature {}, top-k {}, top-p {}, min-p {})", c,
                                         setting[0], setting[1], setting[2], setting[3], setting[4]);
    EXPECT_TRUE(at::equal(got > 0, expected[c] > 0)) << what;
    expect_close(got, expected[c], 1e-5, what);
  }
}

}  // namespace tessera::golden
