package manpage_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"durable/cmd/internal/manpage"
)

func tree() *cobra.Command {
	root := &cobra.Command{
		Use: "prog", Short: "Do a *b* <c>", Run: func(*cobra.Command, []string) {},
		Long:    "One_two_three <FILE> and *.csv.\nA table:\n  a_b   *c*\n  d     e\n\nThe end.",
		Example: "  prog sub --glob '*.csv' # a_b",
	}
	root.PersistentFlags().String("all", "", "for *all* of them")
	sub := &cobra.Command{Use: "sub", Short: "Sub", Run: func(*cobra.Command, []string) {}}
	sub.Flags().String("glob", "", "files like *.csv and `PATTERN`s")
	root.AddCommand(sub, &cobra.Command{Use: "secret", Hidden: true, Run: func(*cobra.Command, []string) {}})
	return root
}

// TestWrite: there is a page for each command that help shows, and it says what help says.
func TestWrite(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1764000000")
	dir := filepath.Join(t.TempDir(), "man")
	cmd := manpage.Command("1", tree)
	cmd.SetArgs([]string{dir})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	want := []string{"prog-completion-bash.1", "prog-completion-fish.1", "prog-completion-powershell.1", "prog-completion-zsh.1", "prog-completion.1", "prog-sub.1", "prog.1"}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.NewReplacer(`\-`, "-", `\&`, "", `\fP`, "", `\fB`, "", `\fR`, "").Replace(string(text))
	}
	for name, texts := range map[string][]string{
		"prog.1":     {`"Nov 2025"`, "Do a *b* <c>", "One_two_three <FILE> and *.csv.", "a_b   *c*\nd     e", "The end.", "prog sub --glob '*.csv' # a_b", "for *all* of them"},
		"prog-sub.1": {"files like *.csv and PATTERNs", "for *all* of them"},
	} {
		got := read(name)
		for _, text := range texts {
			if !strings.Contains(got, text) {
				t.Errorf("%s does not have %q:\n%s", name, text, got)
			}
		}
	}
}

func TestAFolderThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := manpage.Write(tree(), "1", file); err == nil {
		t.Error("written into a file")
	}
}
