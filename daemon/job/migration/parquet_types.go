package migration

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"time"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"
	parquetformat "github.com/parquet-go/parquet-go/format"
)

// parquetType returns the type of a column, and what makes a value of ours of one of it; nil for a
// nested column.
func parquetType(f *parquet.Column) (colType, func(parquet.Value) value) {
	if !f.Leaf() || f.Repeated() {
		return "", nil
	}
	if logical := f.Type().LogicalType(); logical != nil {
		if t, convert := parquetLogical(f, logical.Value); convert != nil {
			return t, convert
		}
	}
	switch f.Type().Kind() {
	case parquet.Boolean:
		return typeBoolean, func(v parquet.Value) value { return v.Boolean() }
	case parquet.Int32:
		return typeInteger, func(v parquet.Value) value { return int64(v.Int32()) }
	case parquet.Int64:
		return typeInteger, func(v parquet.Value) value { return v.Int64() }
	case parquet.Int96:
		return typeTimestampNano, func(v parquet.Value) value { return int96Time(v) }
	case parquet.Float:
		return typeReal, func(v parquet.Value) value { return float64(v.Float()) }
	case parquet.Double:
		return typeReal, func(v parquet.Value) value { return v.Double() }
	}
	return typeBlob, func(v parquet.Value) value { return append([]byte{}, v.ByteArray()...) }
}

func parquetText(v parquet.Value) value { return string(v.ByteArray()) }

func parquetLogical(f *parquet.Column, logical parquetformat.LogicalTypeValue) (colType, func(parquet.Value) value) {
	kind := f.Type().Kind()
	switch t := logical.(type) {
	case *parquetformat.StringType, *parquetformat.EnumType:
		return typeText, parquetText
	case *parquetformat.JsonType:
		return typeJSON, jsonColumn
	case *parquetformat.UUIDType:
		return typeText, func(v parquet.Value) value {
			id, err := uuid.FromBytes(v.ByteArray())
			if err != nil {
				return append([]byte{}, v.ByteArray()...)
			}
			return id.String()
		}
	case *parquetformat.DateType:
		return typeDate, func(v parquet.Value) value {
			return time.Unix(int64(v.Int32())*24*60*60, 0).UTC().Format(layoutDate)
		}
	case *parquetformat.DecimalType:
		return decimalColumn(kind, t)
	case *parquetformat.TimestampType:
		return timestampColumn(t)
	case *parquetformat.TimeType:
		unit := t.Unit.Value.Duration()
		return typeText, func(v parquet.Value) value {
			n := v.Int64()
			if kind == parquet.Int32 {
				n = int64(v.Int32())
			}
			return time.Unix(0, n*int64(unit)).UTC().Format("15:04:05.999999999")
		}
	case *parquetformat.IntType:
		return unsignedColumn(kind, t)
	}
	return "", nil
}

func unsignedColumn(kind parquet.Kind, t *parquetformat.IntType) (colType, func(parquet.Value) value) {
	switch {
	case t.IsSigned:
		return "", nil
	case kind == parquet.Int32:
		return typeInteger, func(v parquet.Value) value { return int64(v.Uint32()) }
	}
	return decimalType(20, 0), func(v parquet.Value) value {
		return scaled(new(big.Int).SetUint64(v.Uint64()), 0)
	}
}

func timestampColumn(t *parquetformat.TimestampType) (colType, func(parquet.Value) value) {
	typ, layout := typeTimestamp, layoutTimestamp
	unit := t.Unit.Value.Duration()
	switch {
	case t.IsAdjustedToUTC && unit == 1:
		typ = typeTimestampNano
	case !t.IsAdjustedToUTC && unit == 1:
		typ, layout = typeLocalTimeNano, layoutLocalTime
	case !t.IsAdjustedToUTC:
		typ, layout = typeLocalTime, layoutLocalTime
	}
	perSecond := int64(time.Second / unit)
	return typ, func(v parquet.Value) value {
		n := v.Int64()
		return time.Unix(n/perSecond, n%perSecond*int64(unit)).UTC().Format(layout)
	}
}

func decimalColumn(kind parquet.Kind, t *parquetformat.DecimalType) (colType, func(parquet.Value) value) {
	scale := int(t.Scale)
	typ := decimalType(int(t.Precision), scale)
	if t.Precision > maxDecimalDigits {
		typ = typeText
	}
	switch kind {
	case parquet.Int32:
		return typ, func(v parquet.Value) value { return scaled(big.NewInt(int64(v.Int32())), scale) }
	case parquet.Int64:
		return typ, func(v parquet.Value) value { return scaled(big.NewInt(v.Int64()), scale) }
	}
	return typ, func(v parquet.Value) value {
		b := v.ByteArray()
		n := new(big.Int).SetBytes(b)
		if len(b) > 0 && b[0]&0x80 != 0 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
		return scaled(n, scale)
	}
}

// jsonColumn is a value of a column of JSON: an object or array, or a value of any other kind.
func jsonColumn(v parquet.Value) value {
	text := v.ByteArray()
	members, err := parseObject(append([]byte(`{"v":`), append(text, '}')...), nil)
	if err != nil || len(members) != 1 {
		return string(text)
	}
	switch members[0].value.(type) {
	case int64, float64, decimal:
		return exactNumber(string(bytes.TrimSpace(text)))
	}
	return members[0].value
}

// julianUnix is the Julian day of 1970-01-01.
const julianUnix = 2440588

func int96Time(v parquet.Value) value {
	n := v.Int96()
	nanos := int64(binary.LittleEndian.Uint64(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, n[0]), n[1])))
	return time.Unix((int64(n[2])-julianUnix)*24*60*60, nanos).UTC().Format(layoutTimestamp)
}
