package harness

import (
	"fmt"
	"hash/crc32"
	"sort"
	"strconv"
	"strings"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Normal renders messages as text in which two servers with the same history agree exactly:
// cluster ids, member ids and raft terms become "some" (but absent stays absent), revisions are
// counted from Base, and leases that the server named itself are called by the name given to them.
// Everything else is rendered in full, in field order; bytes longer than longBytes by length and
// CRC-32C, so that a difference in them still shows.
type Normal struct {
	Base   int64            // revisions from here on are printed as +0, +1, ...
	Leases map[int64]string // lease id -> the name to print instead
}

const longBytes = 80

// Text renders one message; nil gives "nil".
func (n *Normal) Text(m proto.Message) string {
	if m == nil || !m.ProtoReflect().IsValid() {
		return "nil"
	}
	var b strings.Builder
	n.message(&b, m.ProtoReflect())
	return b.String()
}

// Outcome renders an answer or, if err is set, its gRPC code and message.
func (n *Normal) Outcome(m proto.Message, err error) string {
	if err != nil {
		return ErrorText(err)
	}
	return n.Text(m)
}

// ErrorText is "Code: message" of a gRPC error.
func ErrorText(err error) string {
	s := status.Convert(err)
	return fmt.Sprintf("error %s: %s", s.Code(), s.Message())
}

func (n *Normal) message(b *strings.Builder, m protoreflect.Message) {
	b.WriteString("{")
	fields := m.Descriptor().Fields()
	order := make([]protoreflect.FieldDescriptor, 0, fields.Len())
	for i := range fields.Len() {
		if m.Has(fields.Get(i)) {
			order = append(order, fields.Get(i))
		}
	}
	sort.Slice(order, func(i, j int) bool { return order[i].Number() < order[j].Number() })
	for i, f := range order {
		if i > 0 {
			b.WriteString(" ")
		}
		b.WriteString(string(f.Name()))
		b.WriteString(":")
		if !f.IsList() {
			n.value(b, f, m.Get(f))
			continue
		}
		b.WriteString("[")
		list := m.Get(f).List()
		for j := range list.Len() {
			if j > 0 {
				b.WriteString(" ")
			}
			n.value(b, f, list.Get(j))
		}
		b.WriteString("]")
	}
	b.WriteString("}")
}

func (n *Normal) value(b *strings.Builder, f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch f.Kind() {
	case protoreflect.MessageKind:
		n.message(b, v.Message())
	case protoreflect.BytesKind:
		b.WriteString(bytesText(v.Bytes()))
	case protoreflect.StringKind:
		b.WriteString(strconv.Quote(v.String()))
	case protoreflect.EnumKind:
		name := f.Enum().Values().ByNumber(v.Enum())
		if name == nil {
			fmt.Fprintf(b, "%d", v.Enum())
			return
		}
		b.WriteString(string(name.Name()))
	case protoreflect.Int64Kind:
		b.WriteString(n.number(f, v.Int()))
	default:
		if identity[string(f.Name())] {
			b.WriteString("some")
			return
		}
		fmt.Fprint(b, v.Interface())
	}
}

var identity = map[string]bool{
	"cluster_id": true, "member_id": true, "memberID": true, "raft_term": true,
}

var revisions = map[string]bool{
	"revision": true, "create_revision": true, "mod_revision": true, "compact_revision": true,
	"start_revision": true, "min_mod_revision": true, "max_mod_revision": true,
	"min_create_revision": true, "max_create_revision": true, "hash_revision": true, "rev": true,
}

func (n *Normal) number(f protoreflect.FieldDescriptor, v int64) string {
	name := string(f.Name())
	if revisions[name] && n.Base != 0 && v >= n.Base {
		return fmt.Sprintf("%+d", v-n.Base)
	}
	if name == "lease" || name == "ID" {
		if as, ok := n.Leases[v]; ok {
			return as
		}
	}
	return strconv.FormatInt(v, 10)
}

func bytesText(v []byte) string {
	if len(v) <= longBytes {
		return strconv.Quote(string(v))
	}
	sum := crc32.Checksum(v, crc32.MakeTable(crc32.Castagnoli))
	return fmt.Sprintf("<%d bytes, crc %08x>", len(v), sum)
}
