// fork, exec, and two temporary files for the streams, so that no pipe can fill up.
#include "tests/support/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <thread>

namespace tessera::testing {

namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

std::string contents(const File& file) {
  std::string text;
  std::rewind(file.get());
  char block[4096];
  for (size_t got; (got = std::fread(block, 1, sizeof block, file.get())) > 0;) text.append(block, got);
  return text;
}

[[noreturn]] void become(std::vector<char*>& words, const std::vector<std::string>& environment, int out, int err) {
  for (const auto& pair : environment) ::putenv(const_cast<char*>(pair.c_str()));
  ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  ::execvp(words[0], words.data());
  ::_exit(127);
}

/// A program that was started, with the files that its streams go to.
struct Child {
  File out{std::tmpfile(), std::fclose}, err{std::tmpfile(), std::fclose};
  pid_t process = -1;

  Child(const std::vector<std::string>& words, const std::vector<std::string>& environment) {
    if (!out || !err) throw std::runtime_error("no temporary file");
    std::vector<char*> pointers;
    for (const auto& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    process = ::fork();
    if (process < 0) throw std::runtime_error("cannot run " + words[0]);
    if (process == 0) become(pointers, environment, ::fileno(out.get()), ::fileno(err.get()));
  }
  Finished finished(int status) const {
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), contents(out), contents(err)};
  }
  Finished wait() const {
    int status = 0;
    if (::waitpid(process, &status, 0) != process) throw std::runtime_error("the child is lost");
    return finished(status);
  }
};

std::vector<std::string> with_program(const std::vector<std::string>& words) {
  std::vector<std::string> all = {program()};
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

}  // namespace

std::string program() { return TESSERA_BINARY; }

Finished run(const std::vector<std::string>& words, const std::vector<std::string>& environment) {
  return Child(words, environment).wait();
}

Finished tessera(const std::vector<std::string>& words, const std::vector<std::string>& environment) {
  return run(with_program(words), environment);
}

Finished killed_after(std::chrono::milliseconds pause, const std::vector<std::string>& words,
                      const std::vector<std::string>& environment) {
  const Child child(with_program(words), environment);
  const auto end = std::chrono::steady_clock::now() + pause;
  for (int status = 0; std::chrono::steady_clock::now() < end;
       std::this_thread::sleep_for(std::chrono::milliseconds(1)))
    if (::waitpid(child.process, &status, WNOHANG) == child.process) return child.finished(status);
  ::kill(child.process, SIGKILL);
  return child.wait();
}

}  // namespace tessera::testing
