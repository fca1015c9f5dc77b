// Catch2 2.13 (Debian 12) and 3 (Debian 13) behind one include.
#pragma once

#ifdef FIELDPOST_CATCH2_V3
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
