# SPDX-License-Identifier: BSD-3-Clause
"""What the applications are given to do: generated, the same on each run."""

from collections.abc import Iterator

_WORDS = ("token blockref freemap message port frame extent cluster inode "
          "volume mirror snapshot thread callout kernel device").split()


def sql(rows: int) -> Iterator[str]:
    """After sqlite's own speed tests: inserts one by one and at once, indices,
    updates, joins, text, and deletes, all in memory. Line by line: a caller
    whose own memory grows can't tell what its children use."""
    yield from (line + "\n" for line in _sql_lines(rows))


def _sql_lines(rows: int) -> Iterator[str]:
    yield "PRAGMA journal_mode=OFF;"
    yield "CREATE TABLE a(id INTEGER PRIMARY KEY, n INTEGER, t TEXT);"
    yield "CREATE TABLE b(id INTEGER PRIMARY KEY, n INTEGER, t TEXT);"
    yield "BEGIN;"
    for number in range(rows):
        words = " ".join(_WORDS[number * step % 16] for step in range(
            1, 2 + number % 12))
        yield (f"INSERT INTO a VALUES({number},{number * 7919 % rows},"
               f"'{words} {number}');")
    yield "COMMIT;"
    yield (f"INSERT INTO b WITH RECURSIVE c(x) AS (SELECT 0 UNION ALL SELECT "
           f"x+1 FROM c WHERE x<{rows - 1}) SELECT x, x*104729%{rows}, "
           "printf('%08d row %x of the second table', x*31, x) FROM c;")
    yield from (
        "CREATE INDEX a_n ON a(n);",
        "CREATE INDEX b_t ON b(t, n);",
        "UPDATE a SET t = t || ' ' || upper(substr(t, 1, 9)) WHERE id%3=0;",
        "UPDATE b SET t = replace(t, 'row', 'line'), n = n+1;",
        "SELECT count(*), sum(length(a.t || b.t)) FROM a JOIN b ON a.n=b.id;",
        "SELECT substr(t, 1, 3), count(*), length(group_concat(t, ';')) FROM a "
        "GROUP BY 1;",
        "SELECT count(DISTINCT lower(t)) FROM b;",
        "SELECT sum(length(x)) FROM (SELECT t || hex(t) AS x FROM a ORDER BY t "
        "DESC);",
        "SELECT count(*) FROM a WHERE t LIKE '%port%frame%';",
        "CREATE TABLE c AS SELECT a.t AS k, group_concat(b.t) AS v FROM a JOIN "
        "b ON b.n=a.id GROUP BY a.id;",
        "SELECT sum(length(documents)) FROM (SELECT json_group_array("
        "json_object('k', t, 'n', n)) AS documents FROM a GROUP BY n%97);")
    for number in range(0, rows, 3):
        yield f"SELECT t FROM a WHERE n={number};"
    yield "DELETE FROM a WHERE id%2=0;"
    yield "DELETE FROM b WHERE t LIKE '%7%';"
    yield "SELECT count(*) FROM a, b WHERE a.id=b.id;"


def cplusplus(classes: int) -> str:
    """One large file: templates, virtual functions, constants, lambdas. It
    includes nothing, so that each machine compiles the same."""
    parts = [
        "using size = decltype(sizeof 0);\n"
        "template <class T, size n> struct Array {\n"
        "  T items[n];\n"
        "  constexpr T& operator[](size i) { return items[i]; }\n"
        "  template <class F> constexpr T fold(T start, F f) const {\n"
        "    for (size i = 0; i < n; ++i) start = f(start, items[i]);\n"
        "    return start;\n  }\n};\n"
        "template <class... T> struct Tuple {};\n"
        "template <class H, class... T> struct Tuple<H, T...> : Tuple<T...> {\n"
        "  H head;\n  long sum() const {\n"
        "    if constexpr (sizeof...(T) > 0)\n"
        "      return static_cast<long>(head) + Tuple<T...>::sum();\n"
        "    else return static_cast<long>(head);\n  }\n};\n"
        "struct Base { virtual ~Base() = default;\n"
        "  virtual long run(long x) = 0; };\n"
    ]
    for number in range(classes):
        word = _WORDS[number % 16]
        count = 3 + number % 9
        fields = "".join(f", {kind}" for kind in (
            "int", "long", "short", "char", "unsigned")[:1 + number % 5])
        parts.append(
            f"template <class T> class {word}_{number} final : public Base {{\n"
            f" public:\n  explicit {word}_{number}(T seed) : seed_(seed) {{}}\n"
            f"  long run(long x) override {{\n"
            f"    Array<T, {count}> values{{}};\n"
            f"    for (size i = 0; i < {count}; ++i)\n"
            f"      values[i] = static_cast<T>(seed_ * x + {number} * i);\n"
            f"    auto mix = [this, x](T a, T b) {{\n"
            f"      return static_cast<T>(a * {count} + b - seed_ + x); }};\n"
            f"    Tuple<T{fields}> tuple{{}};\n"
            f"    tuple.head = values.fold(T{{{number}}}, mix);\n"
            f"    switch (x % {count}) {{\n"
            + "".join(f"      case {case}: return tuple.sum() + {case};\n"
                      for case in range(count))
            + f"    }}\n    return next_ ? next_->run(x - 1) : tuple.sum();\n"
            f"  }}\n private:\n  T seed_;\n  Base* next_ = nullptr;\n}};\n"
            f"long call_{number}(long x) {{\n"
            f"  {word}_{number}<int> a(1);\n  {word}_{number}<long> b(x);\n"
            f"  {word}_{number}<unsigned char> c('c');\n"
            f"  return a.run(x) + b.run(x) + c.run(x);\n}}\n")
    return "".join(parts)
