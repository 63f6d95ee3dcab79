/* Protobuf's wire form by hand, for what is packed once and framed twice. Source: protobuf.dev "Encoding". */
#pragma once
#include "base/buf.h"

enum { WIRE_VARINT = 0, WIRE_LEN = 2 };

static inline void wire_add_varint(struct buf *b, uint64_t v)
{
	while (v >= 0x80) {
		buf_addc(b, (char)(v | 0x80));
		v >>= 7;
	}
	buf_addc(b, (char)v);
}

static inline void wire_add_number(struct buf *b, unsigned field, uint64_t v)
{
	wire_add_varint(b, field << 3 | WIRE_VARINT);
	wire_add_varint(b, v);
}

static inline void wire_add_bytes(struct buf *b, unsigned field, struct str s)
{
	wire_add_varint(b, field << 3 | WIRE_LEN);
	wire_add_varint(b, s.len);
	buf_add_str(b, s);
}
