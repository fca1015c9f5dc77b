// Boost.URL's own code, compiled once: no Boost library is linked.
#include <boost/url/src.hpp>
