package migration

import (
	"github.com/parquet-go/parquet-go"
	parquetformat "github.com/parquet-go/parquet-go/format"

	"durable/ipc/task"
)

// checkCodecs refuses a file with columns compressed in a way that is not read. The library has LZ4, but loses pages that
// others write (seen with pyarrow 26), and takes memory without end over a damaged one.
func checkCodecs(path string, f *parquet.File) error {
	for _, group := range f.Metadata().RowGroups {
		for _, c := range group.Columns {
			switch codec := c.MetaData.Codec; codec {
			case parquetformat.Uncompressed, parquetformat.Snappy, parquetformat.Gzip, parquetformat.Brotli, parquetformat.Zstd:
			default:
				return task.Errorf(task.Unimplemented, "%s: a Parquet file compressed with %s", path, codec).
					WithHint("write it with snappy, zstd, gzip, brotli or no compression")
			}
		}
	}
	return nil
}
