/* Everything of the base module. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/cond.h"
#include "base/err.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/queue.h"
#include "base/str.h"
#include "base/time.h"
#include "base/vec.h"
