package notify

import (
	"strings"
	"unicode"
)

// printable leaves out what does not print, or turns the direction of writing.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
}

// unscripted replaces what means something to PowerShell inside a here-string, and to XML inside CDATA, by what looks like it.
var unscripted = strings.NewReplacer(
	"$", "＄", "`", "'", `"`, "'", "]]>", "]] >",
	"\u201c", "'", "\u201d", "'", "\u201e", "'", // PowerShell takes typographic quotes for plain ones
).Replace

// escape is for servers that read a body as markup.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
