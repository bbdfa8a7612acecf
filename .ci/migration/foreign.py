"""Parquet files as pyarrow writes them: types, encodings and nesting that durable does not write itself.

foreign.py FOLDER
"""
import datetime as dt
import decimal
import sys

import pyarrow as pa
import pyarrow.parquet as pq

folder = sys.argv[1]
N = 10_000


def write(name, columns, **options):
    pq.write_table(pa.table(columns), f"{folder}/{name}.parquet", **options)


utc = dt.timezone.utc
start = dt.datetime(2026, 1, 2, 3, 4, 5, 678901)
flat = {
    "id": pa.array(range(N), pa.int32()),
    "tiny": pa.array([i % 200 - 100 for i in range(N)], pa.int8()),
    "unsigned": pa.array([2**64 - 1 - i for i in range(N)], pa.uint64()),
    "word": pa.array([None if i % 7 == 0 else ["á", "", "two\nlines", '"q"'][i % 4] for i in range(N)]).dictionary_encode(),
    "money": pa.array([decimal.Decimal(i - 50).scaleb(-2) for i in range(N)], pa.decimal128(9, 2)),
    "big": pa.array([decimal.Decimal(i) * 10**30 for i in range(N)], pa.decimal128(38, 0)),
    "single": pa.array([i / 4 for i in range(N)], pa.float32()),
    "at": pa.array([start.replace(tzinfo=utc) + dt.timedelta(seconds=i) for i in range(N)], pa.timestamp("us", "UTC")),
    "local": pa.array([(start + dt.timedelta(seconds=i)).replace(microsecond=678000) for i in range(N)], pa.timestamp("ms")),
    "day": pa.array([dt.date(1969, 12, 31) + dt.timedelta(days=i) for i in range(N)], pa.date32()),
    "clock": pa.array([dt.time(i % 24, 5, 6, 7) for i in range(N)], pa.time64("us")),
    "bin": pa.array([bytes([i % 256, 0]) for i in range(N)], pa.binary()),
    "fixed": pa.array([bytes([i % 256]) * 4 for i in range(N)], pa.binary(4)),
    "yes": pa.array([None if i % 3 == 0 else i % 2 == 0 for i in range(N)]),
}
for compression in ["snappy", "gzip", "zstd", "brotli", "lz4", "none"]:
    write(f"flat-{compression}", flat, compression=compression, row_group_size=3000)
write("flat-v2", flat, data_page_version="2.0", version="2.6", use_dictionary=False)
write("flat-delta", {"id": flat["id"], "day": flat["day"], "at": flat["at"]}, use_dictionary=False,
      column_encoding={"id": "DELTA_BINARY_PACKED", "day": "DELTA_BINARY_PACKED", "at": "DELTA_BINARY_PACKED"})
write("int96", {"id": flat["id"], "at": flat["at"]}, use_deprecated_int96_timestamps=True)
write("nested", {"id": flat["id"], "list": pa.array([[i, None] for i in range(N)]),
                 "struct": pa.array([{"a": i} for i in range(N)])})
write("empty", {"id": pa.array([], pa.int64()), "word": pa.array([], pa.string())})
