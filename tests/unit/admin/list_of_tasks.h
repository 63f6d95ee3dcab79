/* A list for tests: tasks of every kind of column, with a joined workflow and tags of which there may be several. */
#pragma once
#include "filters.h"

static const char *const PHASES[] = {"UNDEFINED", "QUEUED", "RUNNING", NULL};
static const struct list_column COLUMNS[] = {
	{"name", "t.name", .kind = COLUMN_TEXT},
	{"state", "t.state", .kind = COLUMN_I64},
	{"phase", "t.phase", COLUMN_I64, .words = PHASES},
	{"created_at", "t.created_at", .kind = COLUMN_TIME},
	{"updated_at", "coalesce(t.updated_at, t.created_at)", COLUMN_TIME, .nullable = "t.updated_at",
	 .after = "t.created_at"},
	{"duration", "t.duration", .kind = COLUMN_DURATION},
	{0},
};
static const struct list_column OTHER[] = {{"name", "w.name", .kind = COLUMN_TEXT}, {0}};
static const struct list_column TAGS[] = {
	{"name", "g.name", .kind = COLUMN_TEXT}, {"value", "g.value", .kind = COLUMN_TEXT}, {0}};
static const struct list_entity ENTITIES[] = {
	{"task", "t", COLUMNS, NULL},
	{"workflow", "w", OTHER, NULL},
	{"admin_tag", "at", TAGS, "SELECT FROM tags g WHERE g.of = t.id"},
	{0},
};
