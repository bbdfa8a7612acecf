package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"durable/ipc/task"
)

// A value on disk is sealed: a format byte, a checksum over key and body, the body. The body is a list of
// numbered fields in the protobuf wire format, so that fields can be added without a migration and
// unknown ones are skipped. The tables in record.go say which fields there are.

const (
	formatFields = 1
	sealSize     = 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamaged: the bytes are not what was written.
var errDamaged = errors.New("damaged")

// seal finishes value, whose first sealSize bytes are room for the header. The key is part of the
// checksum: a value under the wrong key is as wrong as a flipped bit.
func seal(key, value []byte) []byte {
	value[0] = formatFields
	binary.LittleEndian.PutUint32(value[1:], checksum(key, value[sealSize:]))
	return value
}

// unseal returns the body of value.
func unseal(key, value []byte) ([]byte, error) {
	switch {
	case len(value) < sealSize:
		return nil, fmt.Errorf("%w: %d bytes", errDamaged, len(value))
	case value[0] != formatFields:
		return nil, fmt.Errorf("%w: format %d", errDamaged, value[0])
	case binary.LittleEndian.Uint32(value[1:]) != checksum(key, value[sealSize:]):
		return nil, fmt.Errorf("%w: checksum", errDamaged)
	}
	return value[sealSize:], nil
}

func checksum(key, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body)
}

// field carries one field of a T to and from its encoded form. put appends tag and value, or nothing
// for the zero value; get sets the field from a value.
type field[T any] struct {
	num  protowire.Number
	wire protowire.Type
	put  func(b []byte, v *T) []byte
	get  func(v *T, val value) error
}

// value is an encoded value: a number for the varint and fixed types, else bytes that are only valid
// while the transaction lasts.
type value struct {
	n uint64
	b []byte
}

// message is the table of the fields of a T, at the index of their numbers.
type message[T any] []field[T]

func newMessage[T any](fields ...field[T]) message[T] {
	var m message[T]
	for _, f := range fields {
		for int(f.num) >= len(m) {
			m = append(m, field[T]{})
		}
		if m[f.num].put != nil {
			panic(fmt.Sprintf("store: field %d twice", f.num))
		}
		m[f.num] = f
	}
	return m
}

func (m message[T]) append(b []byte, v *T) []byte {
	for i := range m {
		if m[i].put != nil {
			b = m[i].put(b, v)
		}
	}
	return b
}

func (m message[T]) parse(b []byte, v *T) error {
	for len(b) > 0 {
		num, wire, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: tag: %w", errDamaged, protowire.ParseError(n))
		}
		b = b[n:]
		var val value
		if n = val.consume(num, wire, b); n < 0 {
			return fmt.Errorf("%w: field %d: %w", errDamaged, num, protowire.ParseError(n))
		}
		b = b[n:]
		if int(num) >= len(m) || m[num].get == nil {
			continue // of a later version
		}
		if m[num].wire != wire {
			return fmt.Errorf("%w: field %d: wire type %d", errDamaged, num, wire)
		}
		if err := m[num].get(v, val); err != nil {
			return fmt.Errorf("%w: field %d: %w", errDamaged, num, err)
		}
	}
	return nil
}

func (val *value) consume(num protowire.Number, wire protowire.Type, b []byte) (n int) {
	switch wire {
	case protowire.VarintType:
		val.n, n = protowire.ConsumeVarint(b)
	case protowire.Fixed64Type:
		val.n, n = protowire.ConsumeFixed64(b)
	case protowire.BytesType:
		val.b, n = protowire.ConsumeBytes(b)
	default:
		n = protowire.ConsumeFieldValue(num, wire, b)
	}
	return n
}

// text: a string.
func text[T any, S ~string](num protowire.Number, at func(*T) *S) field[T] {
	return field[T]{num, protowire.BytesType,
		func(b []byte, v *T) []byte {
			s := *at(v)
			if s == "" {
				return b
			}
			return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), string(s))
		},
		func(v *T, val value) error { *at(v) = S(val.b); return nil }}
}

// ident: a task's ID, in 16 bytes instead of 36.
func ident[T any](num protowire.Number, at func(*T) *task.ID) field[T] {
	return field[T]{num, protowire.BytesType,
		func(b []byte, v *T) []byte {
			if *at(v) == "" {
				return b
			}
			b = protowire.AppendTag(b, num, protowire.BytesType)
			if u, ok := canonical(*at(v)); ok {
				return protowire.AppendBytes(b, u[:])
			}
			return protowire.AppendString(b, string(*at(v)))
		},
		func(v *T, val value) error { *at(v) = unpackID(val.b); return nil }}
}

// whole: a signed number.
func whole[T any, N ~int | ~int64](num protowire.Number, at func(*T) *N) field[T] {
	return field[T]{num, protowire.VarintType,
		func(b []byte, v *T) []byte {
			if *at(v) == 0 {
				return b
			}
			return appendWhole(b, num, int64(*at(v)))
		},
		func(v *T, val value) error { *at(v) = N(protowire.DecodeZigZag(val.n)); return nil }}
}

// wholeAt: a signed number that may be absent, which is not the same as 0.
func wholeAt[T any, N ~int64](num protowire.Number, at func(*T) **N) field[T] {
	return field[T]{num, protowire.VarintType,
		func(b []byte, v *T) []byte {
			if *at(v) == nil {
				return b
			}
			return appendWhole(b, num, int64(**at(v)))
		},
		func(v *T, val value) error { n := N(protowire.DecodeZigZag(val.n)); *at(v) = &n; return nil }}
}

func appendWhole(b []byte, num protowire.Number, n int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), protowire.EncodeZigZag(n))
}

// natural: an unsigned number.
func natural[T any](num protowire.Number, at func(*T) *uint64) field[T] {
	return field[T]{num, protowire.VarintType,
		func(b []byte, v *T) []byte {
			if *at(v) == 0 {
				return b
			}
			return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), *at(v))
		},
		func(v *T, val value) error { *at(v) = val.n; return nil }}
}

// boolean: true or not there.
func boolean[T any](num protowire.Number, at func(*T) *bool) field[T] {
	return field[T]{num, protowire.VarintType,
		func(b []byte, v *T) []byte {
			if !*at(v) {
				return b
			}
			return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), 1)
		},
		func(v *T, val value) error { *at(v) = val.n != 0; return nil }}
}

// raw: bytes as they are.
func raw[T any, B ~[]byte](num protowire.Number, at func(*T) *B) field[T] {
	return field[T]{num, protowire.BytesType,
		func(b []byte, v *T) []byte {
			if len(*at(v)) == 0 {
				return b
			}
			return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), *at(v))
		},
		func(v *T, val value) error { *at(v) = slices.Clone(B(val.b)); return nil }}
}

// instant: a time to the nanosecond, in UTC.
func instant[T any](num protowire.Number, at func(*T) *time.Time) field[T] {
	return field[T]{num, protowire.BytesType,
		func(b []byte, v *T) []byte {
			if at(v).IsZero() {
				return b
			}
			return appendInstant(b, num, *at(v))
		},
		func(v *T, val value) (err error) { *at(v), err = parseInstant(val.b); return err }}
}

// instantAt: a time that may be absent.
func instantAt[T any](num protowire.Number, at func(*T) **time.Time) field[T] {
	return field[T]{num, protowire.BytesType,
		func(b []byte, v *T) []byte {
			if *at(v) == nil {
				return b
			}
			return appendInstant(b, num, **at(v))
		},
		func(v *T, val value) error {
			t, err := parseInstant(val.b)
			*at(v) = &t
			return err
		}}
}

// appendInstant writes seconds and nanoseconds: UnixNano overflows in the year 2262.
func appendInstant(b []byte, num protowire.Number, t time.Time) []byte {
	var buf [2 * binary.MaxVarintLen64]byte
	v := protowire.AppendVarint(buf[:0], protowire.EncodeZigZag(t.Unix()))
	v = protowire.AppendVarint(v, uint64(t.Nanosecond()))
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func parseInstant(b []byte) (time.Time, error) {
	sec, n := protowire.ConsumeVarint(b)
	if n < 0 {
		return time.Time{}, protowire.ParseError(n)
	}
	nsec, m := protowire.ConsumeVarint(b[n:])
	if m < 0 || nsec >= uint64(time.Second) || n+m != len(b) {
		return time.Time{}, errors.New("time")
	}
	return time.Unix(protowire.DecodeZigZag(sec), int64(nsec)).UTC(), nil
}

// object: a message within the message; left out when it is empty.
func object[T, S any](num protowire.Number, m message[S], at func(*T) *S) field[T] {
	return field[T]{num, protowire.BytesType,
		func(b []byte, v *T) []byte {
			if with, n := appendMessage(b, num, m, at(v)); n > 0 {
				b = with
			}
			return b
		},
		func(v *T, val value) error { return m.parse(val.b, at(v)) }}
}

// appendMessage writes a message in place: its length, which comes first and mostly is one byte, is put in when it is known. n is
// the length.
func appendMessage[S any](b []byte, num protowire.Number, m message[S], v *S) (with []byte, n int) {
	b = append(protowire.AppendTag(b, num, protowire.BytesType), 0)
	start := len(b)
	b = m.append(b, v)
	n = len(b) - start
	if more := protowire.SizeVarint(uint64(n)) - 1; more > 0 {
		b = append(b, make([]byte, more)...)
		copy(b[start+more:], b[start:start+n])
	}
	protowire.AppendVarint(b[:start-1], uint64(n))
	return b, n
}

// objectAt: a message that may be absent.
func objectAt[T, S any](num protowire.Number, m message[S], at func(*T) **S) field[T] {
	return field[T]{num, protowire.BytesType,
		func(b []byte, v *T) []byte {
			if *at(v) == nil {
				return b
			}
			b, _ = appendMessage(b, num, m, *at(v))
			return b
		},
		func(v *T, val value) error { *at(v) = new(S); return m.parse(val.b, *at(v)) }}
}

// list: any number of things, one field each. one encodes one of them without a tag.
func list[T, S any](num protowire.Number, at func(*T) *[]S, one func([]byte, *S) []byte, parse func([]byte, *S) error) field[T] {
	return field[T]{num, protowire.BytesType,
		func(b []byte, v *T) []byte {
			for i := range *at(v) {
				b = protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), one(nil, &(*at(v))[i]))
			}
			return b
		},
		func(v *T, val value) error {
			var s S
			err := parse(val.b, &s)
			*at(v) = append(*at(v), s)
			return err
		}}
}

// labels: a map, one field per entry, in order. What was written without any reads as an empty map.
func labels[T any](num protowire.Number, at func(*T) *map[string]string) field[T] {
	return field[T]{num, protowire.BytesType,
		func(b []byte, v *T) []byte {
			if len(*at(v)) == 0 {
				return b
			}
			for _, name := range slices.Sorted(maps.Keys(*at(v))) {
				pair := protowire.AppendString(protowire.AppendString(nil, name), (*at(v))[name])
				b = protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), pair)
			}
			return b
		},
		func(v *T, val value) error {
			name, n := protowire.ConsumeString(val.b)
			if n < 0 {
				return protowire.ParseError(n)
			}
			text, n := protowire.ConsumeString(val.b[n:])
			if n < 0 {
				return protowire.ParseError(n)
			}
			if *at(v) == nil {
				*at(v) = map[string]string{}
			}
			(*at(v))[name] = text
			return nil
		}}
}

// details: the free-form part of an error, as JSON.
func details[T any](num protowire.Number, at func(*T) *map[string]any) field[T] {
	return field[T]{num, protowire.BytesType,
		func(b []byte, v *T) []byte {
			if len(*at(v)) == 0 {
				return b
			}
			text, err := json.Marshal(*at(v))
			if err != nil {
				return b // a value that cannot be shown to anybody either
			}
			return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), text)
		},
		func(v *T, val value) error { return json.Unmarshal(val.b, at(v)) }}
}
