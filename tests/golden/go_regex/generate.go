// Makes vectors.json: what Go's regexp package answers for fixed and for random patterns.
// Run with: go run generate.go > vectors.json
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"regexp"
	"strings"
)

var fixed = strings.Split(`(?P<n>a)(?P<n>b)|\p{Lc}|\p{LC}|\p{letter}|\p{Uppercase_Letter}|\p{Any}|\p{ascii}|\p{^Lu}|\P{^Lu}|\p{Greek}|\p{greek}|\p{Cs}|\p{Zl}|\p{Assigned}|\p{Script=Greek}|\p{Alphabetic}|(?i\|(?i)(?s\|(?\|(?P<\|(?P=a)|(?<\|(?<n>a)|(?P<a\|(?P>\|(?P<>a)|(?P<x y>a)|(?P<1>a)|(?'n'a)|(?=a)|(?!a)|(?#a)|\x{D800}|[\x{D7FF}-\x{E000}]|[\x{D800}-\x{DFFF}]|[^\x{D800}]|a**|a*+|a*?|a*??|a+?*|a{2}{3}|a{1001}|a{1000}|(a{500}){3}|(a{500}){2}|a{0}*|(?i)*|a(?i)*|a*(?i)*|\Q\E*|a\Q\E*|^*|\b+|\B?|\|*|a\|*|a\||\|a|()|(\|a)*|)|(|a)(|((a)|(?:a|a))|[a|[]a]|[]|[^]|[^]a]|[a-|[a-]|[-a]|[--a]|[a-c-e]|[z-a]|[\d-z]|[a-\d]|[\w-]|[[:foo:]]|[[:word:]]|[[:^word:]x]|[[:word:]|[:word:]|[[:word]|[[a]]|[a&&b]|[a~~b]|[a--b]|[+--]|[\b]|[\Q]\E]|[\z]|[\x41-\x43]|[\101]|[.*]|[^\n]|[^\x00-\x{10FFFF}]|\|\8|\1|\12|\07|\0|\08|\1234|\x|\x1|\x4|\xg1|\x{}|\x{41|\x{110000}|\x{10FFFF}|\é|\_|\<|\>|\-|\#|\ |\&|\~|\C|\Z|\h|\R|\X|\G|\K|\N|\u0041|\pN|\p|\pé|\p{|\p{}|\p{^}|(?x)a|(?R)a|(?u)a|(?-)|(?i-)|(?--i)|(?-i-s)|(?i-s:a)|(?-:a)|(?)|(?:)|(?i:)|(?U)a+?|(?U)a+|(?s).|(?m)^a$|(?im-s)^a.|{|a{|a{,2}|a{2,1}|a{2,}|a{01}|a{1,01}|a{1,99999999999}|a{99999999999}|{2}|x{2|x{2,|x{2,3|x{-1}|x{2}}|(?:a{1000}){0}|((?:a{1000}){0}){1000}|(?:(?:a{100}){10}){1}|(?:a{0,}){1000}|(?:(?:a{1000})*){2}|\Qa|\Q\n\E+|\Q\Q\E|\E|a??|a???|$|^$|\A\z|\d+|\w+|\s|\S|\D\W|(?i)k|(?i)K|(?i)s|(?i)[k]|(?i)[^k]|(?i)\w|(?i)\W|(?i)[\W]|(?i)[[:word:]]|(?i)\p{Lu}|(?i)\P{Lu}|(?i)\x{3c3}|(?i)é|.|(?s)..|\bk\b|\Bk|(?i)(?-i)k|(?i:k)k|((?i)k)k|a(?i)b\|c|(?s:.)\n|\.|[.]|^(?s:a)\|(b)$|(a*)*|(a*)+|(a\|b*)*|(?:a?)*?|(a+)(b+)?|(\w+)\s(\w+)|(.*)|(.+)-(.+)|[ab|ab]|(\((\|\))|¥|日本|[日-本]+|(?P<日>a)`, "|")

var tokens = []string{"a", "a", "b", "k", "K", ".", `\d`, `\w`, `\s`, `\b`, `\B`, "^", "$", "(", ")", "(a", "b)", "(?:", "(?i)", "(?s:", "(?m)", "(?U)", "(?i-s:", "|", "|", "*", "+", "?", "{2}", "{1,3}", "{0,}", "{", "}", "{,2}", "[", "]", "[^", "[ab]", "-", "&&", "[:alpha:]", `\Q`, `\E`, `\x41`, `\x{e9}`, `\07`, `\pL`, `\p{Greek}`, `\PN`, "é", "λ", `\n`, `\.`, ":", "(?P<n>", `\z`, `\A`, "~~", "--", " ", `\W`, "s", "1", `\`}

var texts = []string{"", "a", "ab", "aabk\n", "kK\u212a", "é λ Σς", "x{2}aa", "[a]b]", "a&b-~", "line1\nline2", "0٣9 A1", "_-.ſ\a"}

var templates = [][3]string{
	{`(.*)`, "foo", "$1"}, {`(.*)`, "foo", "${1}"}, {`(.*)`, "foo", "$1x"}, {`(.*)`, "foo", "${1}x"}, {`(.*)`, "foo", "$$1"},
	{`f(.*)`, "foo", "ch${1}-ch${1}"}, {`(.*)`, "foo", "$"}, {`(.*)`, "foo", "a$"}, {`(.*)`, "foo", "$-"}, {`(.*)`, "foo", "${"},
	{`(.*)`, "foo", "${1"}, {`(.*)`, "foo", "${1-}"}, {`(.*)`, "foo", "${}"}, {`(.*)`, "foo", "$01"}, {`(.*)`, "foo", "$0"},
	{`(.*)`, "foo", "$2"}, {`(.*)`, "foo", "$10"}, {`(.*)`, "foo", "$99999999999"}, {`(.*)`, "foo", "$$$1"}, {`(.*)`, "foo", "$1é"},
	{`(.*)`, "foo", "$é1"}, {`(.*)`, "foo", "$1²"}, {`(.*)`, "foo", "$1٣"}, {`(.*)`, "foo", "$1ͅ"}, {`(?P<n>f)(?P<n>o)?`, "foo", "$n-$1-$2"}, {`(?P<n>x)?(?P<n>f)`, "foo", "<$n>"},
	{`(a)|(b)`, "b", "$1$2"}, {`(b).*b(.*)(a.*)`, "baz;boobam", "$1$2$2$3"}, {`(?P<a_1>o+)`, "foo", "${a_1}!$a_1!"}, {`o`, "foo", "[$0]"},
}

type vector struct {
	Pattern string  `json:"pattern"`
	Error   string  `json:"error,omitempty"`
	Matches [][]int `json:"matches,omitempty"`
}

func main() {
	random := rand.New(rand.NewSource(1))
	var patterns []string
	for i := 0; i < len(fixed); i++ {
		p := fixed[i]
		for strings.HasSuffix(p, `\`) && p != `\` && i+1 < len(fixed) {
			i++
			p = p[:len(p)-1] + "|" + fixed[i]
		}
		patterns = append(patterns, p)
	}
	patterns = append(patterns, `a\`, strings.Repeat("a?", 300)+strings.Repeat("a", 300), strings.Repeat("((a", 60)+strings.Repeat(")*)", 60))
	for i := 0; i < 1500; i++ {
		var p strings.Builder
		for n := 1 + random.Intn(8); n > 0; n-- {
			p.WriteString(tokens[random.Intn(len(tokens))])
		}
		patterns = append(patterns, p.String())
	}
	seen := map[string]bool{}
	fmt.Printf("{\"texts\":")
	emit(texts)
	fmt.Printf(",\n\"vectors\":[")
	first := true
	for _, p := range patterns {
		if seen[p] {
			continue
		}
		seen[p] = true
		v := vector{Pattern: p}
		re, err := regexp.Compile(p)
		if err != nil {
			v.Error = err.Error()
		} else {
			for _, t := range texts {
				v.Matches = append(v.Matches, re.FindStringSubmatchIndex(t))
			}
		}
		if !first {
			fmt.Print(",")
		}
		first = false
		fmt.Print("\n")
		emit(v)
	}
	fmt.Printf("],\n\"templates\":[")
	for i, t := range templates {
		re := regexp.MustCompile(t[0])
		out := re.ExpandString(nil, t[2], t[1], re.FindStringSubmatchIndex(t[1]))
		if i > 0 {
			fmt.Print(",")
		}
		fmt.Print("\n")
		emit([]string{t[0], t[1], t[2], string(out)})
	}
	fmt.Println("]}")
}

func emit(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(b)
}
