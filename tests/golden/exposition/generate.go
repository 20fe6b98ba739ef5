// Makes vectors.json: what Prometheus' text parsers answer for fixed pages and for mutated ones, see README.md.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand"
	"os"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

var textPages = []string{
	"", "\n", "\n\n", "  \n\t\n", "a 1", "a 1\n", "a 1\n\n", "a\t1\n", "a  1  5  \n", "a 1 5", "a{} 1\n", "a{}1\n", "a+1\n", "a:b 1\n", ":a 1\n", "_ 1\n", "1a 1\n", "a-b 1\n", "a.b 1\n",
	"a{b=\"c\"} 1\n", "a {b=\"c\"} 1\n", "a{ b = \"c\" , } 1\n", "a{b=\"c\" d=\"e\"} 1\n", "a{b=\"c\",,d=\"e\"} 1\n", "a{,} 1\n", "a{b=\"c\"d=\"e\"} 1\n", "a{b=\"c\"}{} 1\n", "a{b=\"\\x\\\\y\\\"z\\n\\t\"} 1\n",
	"a{b=\"line\nbreak\"} 1\n", "a{b=\"nul\x00\"} 1\n", "a{b=\"c\\\n\"} 1\n", "a{b=\"\xff\"} 1\n", "a{b=\"é\"} 1\n", "a{b=c} 1\n", "a{b} 1\n", "a{b=} 1\n", "a{=\"c\"} 1\n", "a{b=\"c} 1\n", "a{b=\"c\" 1\n", "a{1b=\"c\"} 1\n", "a{b:c=\"d\"} 1\n", "a{b.c=\"d\"} 1\n",
	"a{b=\"c\",b=\"d\"} 1\n", "a{\"b\"=\"c\"} 1\n", "a{\"b.é\"=\"c\"} 1\n", "a{\"b\"} 1\n", "{\"a\"} 1\n", "{\"a.b\",c=\"d\"} 1\n", "{c=\"d\",\"a.b\"} 1\n", "{\"a\",\"b\"} 1\n", "{} 1\n", "{c=\"d\"} 1\n", "{\"a\\\"b\",\"c\\\\d\"=\"e\"} 1\n", "{\"my.metric\",\"quoted label\"=\"x\"} 1\n", "{ \"a\" , } 1\n", "{\"a\" \"b\"=\"c\"} 1\n", "{\"a\nb\"} 1\n",
	"a 1 1e3\n", "a 1 -5\n", "a 1 +5\n", "a 1 1.5\n", "a 1 5 6\n", "a 1 99999999999999999999\n", "a 1 9223372036854775807\n", "a 1 5 # x\n", "a 1 # {} 1\n", "a 1{\n", "a 1\r\n", "a\n", "a \n", "a{b=\"c\"}\n", "a x\n", "a {\n", "a 1 2x\n",
	"a 0x1p-2\n", "a 0x1\n", "a 1_000\n", "a +iNf\n", "a -Inf\n", "a infinity\n", "a +INFINITY\n", "a infinit\n", "a nan\n", "a NaN\n", "a +NaN\n", "a -nan\n", "a 1e999\n", "a -1e999\n", "a 1e-999\n", "a 1e309\n", "a .\n", "a .5\n", "a 5.\n", "a -.5\n", "a 1e\n", "a 1e+\n", "a e1\n", "a +\n", "a -\n", "a --1\n", "a 1,5\n", "a -0\n", "a +1\n", "a 00012\n", "a 1e5\n", "a 1E5\n", "a 1.5288e+08\n", "a 9007199254740993\n", "a 123456789012345678901234567890\n", "a 0.1\n", "a 1e22\n", "a 1e23\n", "a 2.2250738585072011e-308\n", "a 5e-324\n", "a 1.7976931348623157e308\n", "a 1.7976931348623159e308\n", "a 0.000000000000000000000000000000000000000001\n", "a 1e0001\n", "a 1d\n", "a ∞\n", "a 1\xff\n", "a 12345678901234567890\n", "a 18446744073709551616.5\n",
	"# a comment\na 1\n", "#comment\n", "#\n", "# \n", "# HELP\n", "# HELP \n", "# HELP a\n", "# HELP a \n", "# HELP a  two  \n", "# HELP a b\n", "# HELP a b\\nc\\\\d\\\"e\\x\n", "#\tHELP\ta\tb\n", "#HELP a b\n", "# HELPX a\n", "# help a b\n", "# HELP 1 b\n", "# HELP \"a.b\" c\n", "# HELP \"a.b\"c\n", "# HELP a.b c\n", "# HELP a{b\n", "# HELP \"a\n", "# HELP a \xff\n", "# HELP a é\n", "# HELP a nul\x00x\n", "# HELP a é", "# HELP a\té\n", "# HELP aé\n",
	"# TYPE a counter\n", "# TYPE a  counter\n", "# TYPE a counter \n", "# TYPE a\tcounter\n", "# TYPE a Counter\n", "# TYPE a\n", "# TYPE a \n", "# TYPE a gauge\n", "# TYPE a histogram\n", "# TYPE a summary\n", "# TYPE a untyped\n", "# TYPE a unknown\n", "# TYPE a info\n", "# TYPE a counter\r\n", "# TYPE \"a.b\" counter\n", "# UNIT a s\n", "# EOF\n", "# EOF\na 1\n", "# TYPE a counter", "  # TYPE a counter\n", "# TYPE \"a\\\"b\" counter\n",
	"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 2\nh_bucket{le=\"5e-3\"} 1\nh_bucket{le=\"1e10\"} 1\nh_bucket{le=\"+inf\"} 3\nh_bucket{le=\"x\"} 3\nh_bucket{le=\"0x1p-2\"} 3\nh_bucket{le=\"-0\"} 3\nh_bucket{le=\"123456789\"} 3\nh_bucket{le=\"\"} 3\nh_bucket{le=\"1e999\"} 3\nh_bucket{le=\"nan\"} 3\nh_bucket{quantile=\"1\"} 3\nh_sum 1\nh_count 3\n# TYPE s summary\ns{quantile=\"1\",le=\"1\"} 2\ns{quantile=\".5\"} 2\n# TYPE g gauge\ng{le=\"1\"} 1\n",
	"<html>\n", "\xef\xbb\xbfa 1\n", "a 1\x00\n", "{\"a\",} 1\n", "{\"a\",,b=\"c\"} 1\n", "a{\"b\",} 1\n", "a{b=\"c\"} 1 5 \na 2\n!!!\n",
}

var openMetricsPages = []string{
	"", "# EOF", "# EOF\n", "# EOF\n\n", "# EOF\na", "# EOFX", "#EOF\n", "\n# EOF\n", "a 1\n", "a 1\n# EOF\n", "a 1", "a 1\n\n# EOF\n", "a  1\n# EOF\n", "a\t1\n# EOF\n", "a 1 \n# EOF\n", " a 1\n# EOF\n", "a 1 5\n# EOF\n", "a 1 5.5\n# EOF\n", "a 1 -5\n# EOF\n", "a 1 1e3\n# EOF\n", "a 1 0.0015\n# EOF\n", "a 1 -0.0015\n# EOF\n", "a 1 1700000000.123\n# EOF\n", "a 1 nan\n# EOF\n", "a 1 inf\n# EOF\n", "a 1 -Inf\n# EOF\n", "a 1 x\n# EOF\n", "a 1 5 6\n# EOF\n", "a 1  5\n# EOF\n", "a 1\t5\n# EOF\n", "a 1\r\n# EOF\n", "a 1 5 \n# EOF\n", "a 1 0x1p3\n# EOF\n",
	"a{} 1\n# EOF\n", "a {} 1\n# EOF\n", "a{b=\"c\"} 1\n# EOF\n", "a{b=\"c\"}1\n# EOF\n", "a{b=\"c\",} 1\n# EOF\n", "a{b=\"c\",,} 1\n# EOF\n", "a{,b=\"c\"} 1\n# EOF\n", "a{b=\"c\",,d=\"e\"} 1\n# EOF\n", "a{b=\"c\"d=\"e\"} 1\n# EOF\n", "a{b=\"c\", d=\"e\"} 1\n# EOF\n", "a{b =\"c\"} 1\n# EOF\n", "a{b= \"c\"} 1\n# EOF\n", "a{b=\"c\nd\"} 1\n# EOF\n", "a{b=\"c\x00d\"} 1\n# EOF\n", "a{b=\"\\x\\\\y\\\"z\\n\"} 1\n# EOF\n", "a{b=\"\xff\"} 1\n# EOF\n", "a{b} 1\n# EOF\n", "a{b=c} 1\n# EOF\n", "a{b=\"c} 1\n# EOF\n", "{\"a.b\"} 1\n# EOF\n", "{\"a.b\",c=\"d\"} 1\n# EOF\n", "{c=\"d\",\"a.b\"} 1\n# EOF\n", "{\"a\",\"b\"} 1\n# EOF\n", "a{\"b\"} 1\n# EOF\n", "{} 1\n# EOF\n", "{\"a\",} 1\n# EOF\n", "{\"a\nb\"} 1\n# EOF\n", "a{\"b c\"=\"d\"} 1\n# EOF\n", "a\n# EOF\n", "a \n# EOF\n", "a{}\n# EOF\n", "a x\n# EOF\n", "a 1_0\n# EOF\n", "a 1e999\n# EOF\n", "a -Inf\n# EOF\n", "a +nan\n# EOF\n",
	"a 1 # {} 1\n# EOF\n", "a 1 # {b=\"c\"} 1\n# EOF\n", "a 1 # {b=\"c\",} 1\n# EOF\n", "a 1 # {b=\"c\",d=\"e\"} 1 5.5\n# EOF\n", "a 1 3 # {b=\"c\"} NaN 5\n# EOF\n", "a 1 # {\"b c\"=\"d\"} 1\n# EOF\n", "a 1 # {\"b\"} 1\n# EOF\n", "a 1 # {\"b\",} 1\n# EOF\n", "a 1 # {b} 1\n# EOF\n", "a 1 # {b=\"c\"}\n# EOF\n", "a 1 # {b=\"c\"} \n# EOF\n", "a 1 # {b=\"c\"} x\n# EOF\n", "a 1 # {b=\"c\"} 1 x\n# EOF\n", "a 1 # {b=\"c\"} 1 nan\n# EOF\n", "a 1 # {b=\"c\"} 1 2 3\n# EOF\n", "a 1 # {b=\"c\"} 1 2", "a 1 # {b=\"c\"} 1", "a 1 # {b=\"c\"}", "a 1 # x\n# EOF\n", "a 1 #{} 1\n# EOF\n", "a 1 # {b=\"c\"}1\n# EOF\n", "a 1 # { b=\"c\"} 1\n# EOF\n", "a 1 # {b=\"c\"} 1 2 \n# EOF\n", "a 1 # {b=\"c\"d=\"e\"} 1\n# EOF\n", "a{b=\"c\"} 1 5 # {trace_id=\"x y\"} 0.5 1.5\n# EOF\n",
	"# HELP a b\n# EOF\n", "# HELP a\n# EOF\n", "# HELP a \n# EOF\n", "# HELP a  b \n# EOF\n", "# HELP a b\\nc\\\\d\\\"e\\x\n# EOF\n", "#  HELP a b\n# EOF\n", "# HELP  a b\n# EOF\n", "# HELP \"a.b\" c\n# EOF\n", "# HELP \"a.b\"c\n# EOF\n", "# HELP a \xff\n# EOF\n", "# HELP a b", "# comment\n# EOF\n", "# TYPE a counter\n# EOF\n", "# TYPE a untyped\n# EOF\n", "# TYPE a unknown\n# EOF\n", "# TYPE a info\n# EOF\n", "# TYPE a stateset\n# EOF\n", "# TYPE a gaugehistogram\n# EOF\n", "# TYPE a summary\n# EOF\n", "# TYPE a histogram\n# EOF\n", "# TYPE a gauge\n# EOF\n", "# TYPE a counter \n# EOF\n", "# TYPE a\n# EOF\n", "# TYPE 1 counter\n# EOF\n", "# UNIT a_seconds seconds\n# EOF\n", "# UNIT foo_seconds minutes\n# EOF\n", "# UNIT a \n# EOF\n", "# UNIT a\n# EOF\n", "# UNIT a a\n# EOF\n", "# UNIT _a a\n# EOF\n", "# UNIT aseconds seconds\n# EOF\n", "# UNIT \"a.b_s\" s\n# EOF\n", "# HELP 1 b\n# EOF\n",
	"# TYPE a counter\n# HELP a b\na_total 1\na_created 1.5\n# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {a=\"b\"} 1\nh_bucket{le=\"+Inf\"} 1\n# EOF\n", "a 1e-1\n# EOF\n",
}

var pieces = []string{"a", "b_c", "{", "}", "=", "\"", "\"x\"", ",", " ", "  ", "\t", "\n", "#", "# ", "HELP ", "TYPE ", "UNIT ", "EOF", "counter", "1", "2.5", "-", "+Inf", "NaN", "e3", ".", "\\", "\\n", "é", "\xff", ":", "5", "# {", "\r"}

type vector struct {
	Format  string `json:"format"`
	Body    string `json:"body"`
	Entries []any  `json:"entries"`
	Error   string `json:"error,omitempty"`
}

func main() {
	random := rand.New(rand.NewSource(1))
	seen := map[string]bool{}
	first := true
	fmt.Print("[")
	try := func(format, body string) {
		if seen[format+body] {
			return
		}
		seen[format+body] = true
		if !first {
			fmt.Print(",")
		}
		first = false
		b, err := json.Marshal(run(format, body))
		if err != nil {
			panic(err)
		}
		fmt.Print("\n")
		os.Stdout.Write(b)
	}
	for _, p := range textPages {
		try("prometheus", p)
	}
	for _, p := range openMetricsPages {
		try("openmetrics", p)
	}
	for i := 0; i < 1500; i++ {
		format, pages := "prometheus", textPages
		if i%2 == 1 {
			format, pages = "openmetrics", openMetricsPages
		}
		body := pages[random.Intn(len(pages))]
		if len(body) > 120 {
			continue
		}
		for n := 1 + random.Intn(2); n > 0; n-- {
			at := random.Intn(len(body) + 1)
			end := min(len(body), at+random.Intn(3))
			body = body[:at] + pieces[random.Intn(len(pieces))] + body[end:]
		}
		try(format, body)
	}
	fmt.Println("\n]")
}

func run(format, body string) vector {
	v := vector{Format: format, Body: latin(body), Entries: []any{}}
	table := labels.NewSymbolTable()
	var p textparse.Parser
	if format == "prometheus" {
		p = textparse.NewPromParser([]byte(body), table, false)
	} else {
		p = textparse.NewOpenMetricsParser([]byte(body), table)
	}
	for {
		entry, err := p.Next()
		if err == io.EOF {
			return v
		}
		if err != nil {
			v.Error = latin(err.Error())
			return v
		}
		switch entry {
		case textparse.EntryHelp:
			name, text := p.Help()
			v.Entries = append(v.Entries, []any{"help", latin(string(name)), latin(string(text))})
		case textparse.EntryType:
			name, kind := p.Type()
			v.Entries = append(v.Entries, []any{"type", latin(string(name)), string(kind)})
		case textparse.EntryUnit:
			name, unit := p.Unit()
			v.Entries = append(v.Entries, []any{"unit", latin(string(name)), latin(string(unit))})
		case textparse.EntrySeries:
			series, ts, value := p.Series()
			var l labels.Labels
			p.Labels(&l)
			e := []any{"sample", latin(string(series)), strconv.FormatUint(math.Float64bits(value), 16), ts, pairs(l)}
			var x exemplar.Exemplar
			if p.Exemplar(&x) {
				t := any(nil)
				if x.HasTs {
					t = x.Ts
				}
				e = append(e, []any{pairs(x.Labels), strconv.FormatUint(math.Float64bits(x.Value), 16), t})
			}
			v.Entries = append(v.Entries, e)
		}
	}
}

func pairs(l labels.Labels) []any {
	all := []any{}
	l.Range(func(l labels.Label) { all = append(all, []string{latin(l.Name), latin(l.Value)}) })
	return all
}

// latin writes each byte as one character, because JSON cannot carry other than UTF-8.
func latin(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}
