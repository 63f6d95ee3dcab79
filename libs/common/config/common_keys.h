/* Keys that several services have, with Flyte's names: put the struct into the service's own and the macro into its
 * table.
 *
 *   struct admin_config { struct service_config service; struct database_config database; … };
 *   static const struct config_key admin_keys[] = {DATABASE_KEYS(struct admin_config, database), …, {0}};
 *
 * Source: flytestdlib database/config.go, storage/config.go (v1.16.8). */
#pragma once
#include "config/config.h"

struct database_config {
	const char *dsn, *host, *username, *password, *password_path, *dbname, *options;
	int64_t port, max_connections;
};

/* libpq's connection string: `dsn` as it is, else the parts, quoted; the password from its file if one is named.
 * Errors: INVALID_ARGUMENT when that file cannot be read. */
enum code database_dsn(const struct database_config *d, struct buf *ret, struct err *err);

struct bus_config {
	const char *type, *url;
};

struct storage_config {
	const char *type, *container, *public_url, *secret;
	bool durable;
};

#define CONFIG_FIELD(owner, member, of, field) (offsetof(owner, member) + offsetof(struct of, field))

/* clang-format off */
#define DATABASE_KEYS(owner, member)                                                                                   \
	{.path = "database.dsn", .type = CONFIG_STRING, .env = "ALULA_DSN",                                            \
	 .offset = CONFIG_FIELD(owner, member, database_config, dsn),                                                  \
	 .text = "libpq's connection string or URI; it takes the place of all of database.postgres."},                 \
	{.path = "database.postgres.host", .type = CONFIG_STRING, .default_value = "localhost",                        \
	 .offset = CONFIG_FIELD(owner, member, database_config, host),                                                 \
	 .text = "Host name, address, or directory of the socket."},                                                   \
	{.path = "database.postgres.port", .type = CONFIG_INT, .default_value = "5432", .min = 1, .max = 65535,        \
	 .offset = CONFIG_FIELD(owner, member, database_config, port), .text = "Port."},                               \
	{.path = "database.postgres.username", .type = CONFIG_STRING, .default_value = "postgres",                     \
	 .offset = CONFIG_FIELD(owner, member, database_config, username), .text = "Role to log in as."},              \
	{.path = "database.postgres.password", .type = CONFIG_STRING,                                                  \
	 .offset = CONFIG_FIELD(owner, member, database_config, password), .text = "Its password."},                   \
	{.path = "database.postgres.passwordPath", .type = CONFIG_STRING,                                              \
	 .offset = CONFIG_FIELD(owner, member, database_config, password_path),                                        \
	 .text = "File that holds the password; it wins over `password`."},                                            \
	{.path = "database.postgres.dbname", .type = CONFIG_STRING, .default_value = "alula",                          \
	 .offset = CONFIG_FIELD(owner, member, database_config, dbname),                                               \
	 .text = "Database; each service has a schema of its own in it."},                                             \
	{.path = "database.postgres.options", .type = CONFIG_STRING,                                                   \
	 .offset = CONFIG_FIELD(owner, member, database_config, options),                                              \
	 .text = "More of libpq's parameters, such as `sslmode=disable`."},                                            \
	{.path = "database.maxOpenConnections", .type = CONFIG_INT, .default_value = "16", .min = 1, .max = 1000,      \
	 .offset = CONFIG_FIELD(owner, member, database_config, max_connections),                                      \
	 .text = "Connections of the pool; who finds none free waits."}

#define BUS_KEYS(owner, member)                                                                                        \
	{.path = "bus.type", .type = CONFIG_STRING, .default_value = "nats",                                           \
	 .offset = CONFIG_FIELD(owner, member, bus_config, type), .text = "What carries messages: `nats`."},           \
	{.path = "bus.nats.url", .type = CONFIG_STRING, .default_value = "nats://127.0.0.1:4222",                      \
	 .env = "ALULA_NATS_URL", .offset = CONFIG_FIELD(owner, member, bus_config, url),                              \
	 .text = "Servers of NATS, several with commas; JetStream must be on."}

#define STORAGE_KEYS(owner, member)                                                                                    \
	{.path = "storage.type", .type = CONFIG_STRING, .default_value = "file",                                       \
	 .offset = CONFIG_FIELD(owner, member, storage_config, type), .text = "Kind of object store: `file`."},        \
	{.path = "storage.container", .type = CONFIG_STRING,                                                           \
	 .offset = CONFIG_FIELD(owner, member, storage_config, container),                                             \
	 .text = "Root of the store; for `file` an absolute directory, created if missing."},                          \
	{.path = "storage.durable", .type = CONFIG_BOOL, .default_value = "true",                                      \
	 .offset = CONFIG_FIELD(owner, member, storage_config, durable),                                               \
	 .text = "Of `file`: fsync what is written."},                                                                 \
	{.path = "storage.signedUrl.publicUrl", .type = CONFIG_STRING, .default_value = "http://localhost:8088",       \
	 .offset = CONFIG_FIELD(owner, member, storage_config, public_url),                                            \
	 .text = "Of `file`: where clients reach admin's HTTP port, for signed URLs."},                                \
	{.path = "storage.signedUrl.secret", .type = CONFIG_STRING,                                                    \
	 .offset = CONFIG_FIELD(owner, member, storage_config, secret),                                                \
	 .text = "Of `file`: key of the URLs' signatures, at least 32 characters, the same for all admins."}
/* clang-format on */
