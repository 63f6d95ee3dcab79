/* Shared by the files of api only. */
#pragma once
#include "api/api.h"

/* What one method counts; the series are NULL without a registry. */
struct api_metrics {
	struct metric *duration, *handling, *errors, *success;
	struct metric *codes[UNAUTHENTICATED + 1];
};

struct api_method {
	const struct pb_method *method;
	api_handler fn;
	api_together together; /* both NULL: not bound */
	struct api_metrics metrics;
};

/* Create the series of one method: "<prefix>:admin:create_task:codes:OK". */
void api_metrics_init(struct api_metrics *m, const struct api_options *options, const struct pb_service *service,
		      const struct pb_method *method);
