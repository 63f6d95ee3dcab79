/* The table of propeller's configuration keys; see docs/config/propeller.md. */
#pragma once
#include "propeller.h"

extern const struct config_key propeller_keys[];
