/* JetStream streams: made when missing, with limits retention (interest retention acknowledges and drops when no
 * consumer stands). */
#include "private.h"

enum { API_WAIT_MS = 2000 };

static natsStatus make_stream(jsCtx *js, const struct bus_stream_config *config, jsStreamInfo **ret, jsErrCode *code)
{
	const char *subjects[] = {config->subjects};
	jsStreamConfig c;

	jsStreamConfig_Init(&c);
	c.Name = config->name;
	c.Subjects = subjects;
	c.SubjectsLen = 1;
	c.Retention = js_LimitsPolicy;
	c.Discard = js_DiscardOld;
	c.Storage = js_FileStorage;
	c.MaxBytes = config->max_bytes;
	c.MaxAge = config->max_age_us * 1000;
	c.Replicas = 1;
	return js_AddStream(ret, js, &c, NULL, code);
}

enum code stream_ensure(struct link *l, const struct bus_stream_config *config, int64_t *ret_created,
			uint64_t *ret_last_seq, struct err *err)
{
	jsOptions o;
	jsCtx *js = NULL;
	jsStreamInfo *info = NULL;
	jsErrCode code = 0;

	jsOptions_Init(&o);
	o.Wait = API_WAIT_MS;
	natsStatus s = natsConnection_JetStream(&js, l->nc, &o);
	if (s == NATS_OK)
		s = js_GetStreamInfo(&info, js, config->name, NULL, &code);
	if (s == NATS_NOT_FOUND)
		s = make_stream(js, config, &info, &code);
	if (s == NATS_OK) {
		*ret_created = info->Created;
		*ret_last_seq = info->State.LastSeq;
	}
	jsStreamInfo_Destroy(info);
	jsCtx_Destroy(js);
	if (s == NATS_OK)
		return OK;
	return err_set(err, UNAVAILABLE, "stream %s: %s (JetStream error %d)", config->name, natsStatus_GetText(s),
		       (int)code);
}
