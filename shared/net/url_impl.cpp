// Boost.URL's own code, compiled once, where its version still allows that (Debian 12); later
// versions refuse it and are linked as a library (cmake/Dependencies.cmake).
#include <boost/version.hpp>

#if BOOST_VERSION < 108200
#include <boost/url/src.hpp>
#endif
