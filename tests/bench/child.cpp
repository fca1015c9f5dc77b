#include "tests/bench/child.h"

#include <chrono>
#include <fcntl.h>
#include <fstream>
#include <signal.h>
#include <sstream>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace fieldpost::bench {

Child::Child(const std::string& program, std::vector<std::string> arguments,
             const std::string& log) {
  const std::string path = std::string(FIELDPOST_BINARY_DIR) + "/" + program;
  std::vector<char*> argv{const_cast<char*>(path.c_str())};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("cannot start " + path);
  if (pid_ > 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(out, 1);
  ::dup2(out, 2);
  ::execv(path.c_str(), argv.data());
  ::_exit(127);
}

Child::~Child() { stop(); }

bool Child::running() {
  if (pid_ < 0) return false;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == 0) return true;
  pid_ = -1;
  return false;
}

void Child::stop() {
  if (!running()) return;
  ::kill(pid_, SIGTERM);
  for (int i = 0; i < 200 && running(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

ProcessFigures Child::figures() const {
  ProcessFigures out;
  const std::string proc = "/proc/" + std::to_string(pid_);
  std::ifstream status(proc + "/status");
  for (std::string line; std::getline(status, line);) {
    std::istringstream in(line);
    std::string name;
    double value = 0;
    in >> name >> value;
    if (name == "RssAnon:") out.rss_anon_kib = value;
    if (name == "RssFile:") out.rss_file_kib = value;
  }
  std::ifstream stat(proc + "/stat");
  std::string text;
  std::getline(stat, text);
  std::istringstream in(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) in >> skipped;
  double user = 0;
  double system = 0;
  in >> user >> system;
  out.cpu_ms = (user + system) * 1000.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return out;
}

}  // namespace fieldpost::bench
