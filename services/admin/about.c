/* What a client may ask about the service itself.
 * Without authentication flyteadmin registers neither AuthMetadataService nor IdentityService: their calls answer
 * UNIMPLEMENTED, over REST 501, and clients take it for "nobody to log in with"; so here. Source: flyteadmin
 * pkg/server/service.go, pkg/manager/impl/version_manager.go (v1.16.8). */
#include <string.h>

#include "admin.h"
#include "flyteidl/admin/version.h"
#include "pb/pb.h"

static enum code admin_get_version(struct request *rq, const AdminGetVersionRequest *in, AdminGetVersionResponse *ret,
				   struct err *err)
{
	(void)in, (void)err;
	ret->control_plane_version = pb_new(rq->arena, ADMIN_VERSION_DESC);
	ret->control_plane_version->version = "v" ALULA_VERSION;
	ret->control_plane_version->build = "alula";
	return OK;
}
API_THUNK(admin_get_version)

static enum code unknown_service(struct request *rq, const void *in, void *ret, struct err *err)
{
	const char *path = rq->method->path + 1;

	(void)in, (void)ret;
	return err_set(err, UNIMPLEMENTED, "unknown service %.*s", (int)strcspn(path, "/"), path);
}

const struct api_binding admin_about_rpcs[] = {{"GetVersion", admin_get_version_api}, {0}};
const struct api_binding admin_auth_metadata_rpcs[] = {
	{"GetOAuth2Metadata", unknown_service},
	{"GetPublicClientConfig", unknown_service},
	{0},
};
const struct api_binding admin_identity_rpcs[] = {{"UserInfo", unknown_service}, {0}};
