/* Files over HTTP: uploads to and downloads from signed URLs, and attempts' logs. */
#pragma once
#include "http/http.h"

/* Handlers; rq->user is the struct admin. */
bool admit_upload(struct http_request *rq, struct http_response *rs);
void serve_upload(struct http_request *rq, struct http_response *rs);
void serve_download(struct http_request *rq, struct http_response *rs);
/* /logs/<path>: <store's root>/logs/<path>, and nothing else of the store. */
void serve_log(struct http_request *rq, struct http_response *rs);
