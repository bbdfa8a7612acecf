package migration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDryRun(t *testing.T) {
	src := write(t, "s.csv", "id,zip,bad\n1,007,x\n2\n3,1,\n")
	for name, create := range map[string]string{
		"d.db":      `create table "s" ("n" INTEGER, "zip" TEXT)`,
		"d.parquet": "",
		"d.csv.gz":  "",
	} {
		dst := filepath.Join(t.TempDir(), name)
		l := prepare(t, paths(src, dst, "dry_run", true, "on_error", "skip", "columns", []string{"n=id", "zip"}))
		res := l.finish()
		want := []plannedColumn{{"n", "id", "integer"}, {"zip", "", "text"}}
		if diff := cmp.Diff(want, res.Columns); diff != "" {
			t.Errorf("%s: columns (-want +got):\n%s", name, diff)
		}
		if res.CreateTable != create || res.Total != 2 || res.Skipped != 1 || res.Migrated != 0 {
			t.Errorf("%s: %+v", name, res)
		}
		var got map[string]any
		if err := json.Unmarshal(encode(t, res), &got); err != nil {
			t.Fatal(err)
		}
		if got["success"] != false || got["verified"] != false || got["dry_run"] != true {
			t.Errorf("%s: claims success: %v", name, got)
		}
		if left, err := os.ReadDir(filepath.Dir(dst)); err != nil || len(left) > 0 {
			t.Errorf("%s: written: %v, %v", name, left, err)
		}
	}
}
