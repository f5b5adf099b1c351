// Tasks of the OLMES standard (arXiv 2406.08446) as they are published: requests that a model scores, gathered by
// document. What a file says wrongly is refused with file and line before any model runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/files.h"

namespace tessera::eval {

/// A continuation and which of its document's contexts it stands after.
struct OlmesRequest {
  size_t context = 0;
  std::string continuation;  // begins with its own blank
};

struct OlmesDocument {
  std::vector<std::string> contexts;        // those that differ: one, but where choices change the context (Winogrande)
  std::vector<OlmesRequest> choices;        // in the order of `idx`
  std::vector<OlmesRequest> unconditional;  // the same continuations after "Answer:" alone, or none
  std::optional<size_t> answer;             // the right choice; absent where only bits per byte are asked for
  std::string group;                        // MMLU's subject, or ""
  std::string where;                        // "requests.jsonl.gz line 3"
};

struct OlmesTask {
  std::string name;            // "arc_easy"
  std::string variant;         // "val_rc_5shot", or ""
  std::string primary_metric;  // of config.json: "acc_per_char"; "" where it names none of ours
  std::vector<OlmesDocument> documents;
};

/// Which requests are read.
struct OlmesSource {
  std::vector<Path> data;  // request files, folders of one task, or folders of such folders
  std::string variant;     // takes only the variants of this name ("val_rc_5shot"); "": all
  int64_t limit = 0;       // documents of a task, at even distances; 0: all
};

/// All tasks, in the order of their paths. A folder is a task when requests.jsonl or requests.jsonl.gz lies in it;
/// config.json beside it names the primary metric. A folder of subjects with Arrow files (`mmlu.h`) is MMLU. Throws
/// UserError for a folder without tasks and for all that parse_olmes_requests() and read_mmlu() refuse.
std::vector<OlmesTask> read_olmes_tasks(const OlmesSource& source);

/// The documents of a request file, one JSON object a line, plain or gzip: request_type "loglikelihood" (or
/// "generate_until_and_loglikelihood", whose second half is taken), request.context, request.continuation, idx, doc_id,
/// label. `offset`: doc_ids from here on are the unconditional requests of document doc_id - offset. Throws UserError
/// with file and line: broken compression or JSON, another request type, a label that is no choice, a document with
/// choices or unconditional requests missing or twice, no requests at all.
std::vector<OlmesDocument> parse_olmes_requests(std::string_view bytes, const std::string& source,
                                                int64_t offset = 1000000);

/// Accuracies and bits per byte that `primary_metric` may name.
extern const std::vector<std::string> olmes_metrics;

/// Keeps `limit` of the documents, at even distances; 0 keeps all.
void keep_evenly(std::vector<OlmesDocument>& documents, int64_t limit);

}  // namespace tessera::eval
