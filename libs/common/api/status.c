/* google.rpc.Status: {int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3;}, and an Any is
 * {string type_url = 1; bytes value = 2;}. */
#include "api/api.h"
#include "pb/pb.h"
#include "pb/wire.h"

void status_pack(enum code code, const char *text, const void *detail, struct buf *b)
{
	wire_add_number(b, 1, code);
	wire_add_bytes(b, 2, str_of(text));
	if (!detail)
		return;
	auto_buf struct buf any = {0}, value = {0}, url = {0};
	buf_printf(&url, TYPE_URL_PREFIX "%s", ((const ProtobufCMessage *)detail)->descriptor->name);
	pb_pack_buf(detail, &value);
	wire_add_bytes(&any, 1, buf_str(&url));
	wire_add_bytes(&any, 2, buf_str(&value));
	wire_add_bytes(b, 3, buf_str(&any));
}
