// The planner's side of bench/plan: reads the table once, then answers one JSON request per line with one JSON object.
//   tessera_plan_bench TABLE TASK...    {"do": "fit"} -> {"seconds", "step1", "step2", "predictions"}
// What is timed is the library's own fit_paper_curve and the predictions; the objectives are worked out afterwards.
#include <chrono>
#include <cmath>
#include <iostream>

#include "core/error.h"
#include "core/json.h"
#include "plan/curves/task_curve.h"

namespace tessera::plan {
namespace {

/// The table and the request.
struct Work {
  LadderTable table;
  std::vector<size_t> tasks;
};

/// Sum over the rungs of Huber(log predicted - log measured), delta 1e-3: what step 1 minimises.
double step1_objective(const Work& work, const TaskCurve& curve, size_t task) {
  double sum = 0;
  for (const LossPoint& point : loss_points(all_rungs(work.table), task, Feature::bpb)) {
    const double away = std::abs(std::log(curve.law.at(point.n, point.d)) - std::log(point.loss));
    sum += away < 1e-3 ? 0.5 * away * away : 1e-3 * (away - 0.5e-3);
  }
  return sum;
}

/// Half the sum of squares over the checkpoints and the anchor (loss 0, accuracy 1): what step 2 minimises.
double step2_objective(const Work& work, const TaskCurve& curve, size_t task) {
  double sum = std::pow(curve.sigmoid.at(0) - 1, 2);
  for (const LadderRun& run : work.table.runs) {
    for (const AccuracyPoint& point : checkpoint_points(run, task, Feature::bpb)) {
      sum += std::pow(curve.sigmoid.at(point.loss) - point.accuracy, 2);
    }
  }
  return sum / 2;
}

Json fit(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  const Rungs rungs = all_rungs(work.table);
  std::vector<TaskCurve> curves;
  std::vector<double> predictions;
  for (const size_t task : work.tasks) {
    curves.push_back(fit_paper_curve(rungs, task, work.table.tasks[task], Feature::bpb));
    for (const LadderRun& target : work.table.targets) {
      predictions.push_back(curves.back().accuracy_at(final_scale(target)));
    }
  }
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  Json reply = {{"seconds", spent.count()}, {"predictions", predictions}};
  for (size_t i = 0; i < curves.size(); ++i) {
    reply["step1"].push_back(step1_objective(work, curves[i], work.tasks[i]));
    reply["step2"].push_back(step2_objective(work, curves[i], work.tasks[i]));
  }
  return reply;
}

int run(const std::vector<std::string>& words) {
  if (words.size() < 2) throw UserError("[bench] want TABLE TASK...");
  Work work{read_ladder_table(words[0]), {}};
  for (size_t i = 1; i < words.size(); ++i) {
    const auto task = work.table.find_task(words[i]);
    if (!task) throw UserError("[bench] {} has no task '{}'", words[0], words[i]);
    work.tasks.push_back(*task);
  }
  for (std::string line; std::getline(std::cin, line);) {
    const std::string action = parse_json(line, "request").at("do");
    if (action != "fit") throw UserError("[bench] unknown request '{}', want fit", action);
    std::cout << fit(work).dump() << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace tessera::plan

int main(int count, char** words) {
  try {
    return tessera::plan::run({words + 1, words + count});
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
