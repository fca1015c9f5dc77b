// One io_context for a whole test: hub, tablet and proxy take turns on one thread, so that a test waits for
// what it is about and never for a time.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>
#include <utility>

namespace fieldpost::test {

class Loop {
 public:
  boost::asio::io_context& context() { return context_; }
  boost::asio::any_io_executor executor() { return context_.get_executor(); }

  /// Runs handlers, one at a time, until `done()`. A test that never gets there is ended by ctest.
  template <class Done>
  void run_until(Done done) {
    while (!done()) context_.run_one();
  }
  /// Runs what can run without waiting.
  void poll() {
    while (context_.poll() != 0) {
    }
  }

 private:
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      context_.get_executor()};
};

}  // namespace fieldpost::test
