/* google.rpc.Status: {int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3;}, and an Any is
 * {string type_url = 1; bytes value = 2;}. */
#include <string.h>

#include "api/api.h"
#include "pb/pb.h"

enum { VARINT = 0, BYTES = 2 };

static void add_varint(struct buf *b, uint64_t n)
{
	for (; n > 0x7f; n >>= 7)
		buf_addc(b, (char)(n | 0x80));
	buf_addc(b, (char)n);
}

static void add_bytes(struct buf *b, unsigned field, struct str value)
{
	add_varint(b, field << 3 | BYTES);
	add_varint(b, value.len);
	buf_add_str(b, value);
}

void status_pack(enum code code, const char *text, const void *detail, struct buf *b)
{
	add_varint(b, 1 << 3 | VARINT);
	add_varint(b, code);
	add_bytes(b, 2, str_of(text));
	if (!detail)
		return;
	auto_buf struct buf any = {0}, value = {0}, url = {0};
	buf_printf(&url, TYPE_URL_PREFIX "%s", ((const ProtobufCMessage *)detail)->descriptor->name);
	pb_pack_buf(detail, &value);
	add_bytes(&any, 1, buf_str(&url));
	add_bytes(&any, 2, buf_str(&value));
	add_bytes(b, 3, buf_str(&any));
}
