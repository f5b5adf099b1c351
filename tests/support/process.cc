// fork, exec, and two temporary files for the streams, so that no pipe can fill up.
#include "tests/support/process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>

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

}  // namespace

Finished run(const std::vector<std::string>& words, const std::vector<std::string>& environment) {
  const File out(std::tmpfile(), std::fclose), err(std::tmpfile(), std::fclose);
  if (!out || !err) throw std::runtime_error("no temporary file");
  std::vector<char*> pointers;
  for (const auto& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) become(pointers, environment, ::fileno(out.get()), ::fileno(err.get()));
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) throw std::runtime_error("cannot run " + words[0]);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), contents(out), contents(err)};
}

Finished tessera(const std::vector<std::string>& words, const std::vector<std::string>& environment) {
  std::vector<std::string> all = {TESSERA_BINARY};
  all.insert(all.end(), words.begin(), words.end());
  return run(all, environment);
}

}  // namespace tessera::testing
