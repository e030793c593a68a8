//! What templates mean: each line was checked against dbt 1.10 as well.

use super::*;

/// The text, or the cause of the error.
fn rendered(text: &str) -> Result<String, String> {
    let text = text.to_string();
    // As deep as limits let a template go.
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    let render = move || {
        let mut globals = Globals::new();
        add_builtins(&mut globals);
        let limits = Limits {
            steps: 500_000,
            bytes: 8 << 20,
            ..Limits::default()
        };
        let render = |text: &str| {
            let template = parse("t", text)?;
            Interp::new(&globals, &Budget::new(limits), &|_, _| 0).render(&template)
        };
        render(&text)
            .map(|out| out.text)
            .map_err(|error| error.cause)
    };
    thread.spawn(render).unwrap().join().unwrap()
}

fn holds(lines: &[(&str, &str)]) {
    for (template, expected) in lines {
        assert_eq!(rendered(template).as_deref(), Ok(*expected), "{template}");
    }
}

#[test]
fn values_print_as_in_python() {
    holds(&[
        (
            "{{ none }} {{ true }} {{ [1, 'a', None] }} {{ {'a': 1} }} {{ (1,) }}",
            "None True [1, 'a', None] {'a': 1} (1,)",
        ),
        (
            "{{ 7 // 2 }} {{ 7 / 2 }} {{ -7 % 3 }} {{ 2 ** 3 }} {{ 1.0 }} {{ 0.1 + 0.2 }} {{ 1e20 }}",
            "3 3.5 2 8 1.0 0.30000000000000004 1e+20",
        ),
        (
            "{{ \"it's\" | list | length }}{{ [\"it's\"] }}{{ 'a' ~ 1 ~ none }}",
            "4[\"it's\"]a1None",
        ),
        (
            "{{ 1 if false else 2 }}{{ not true or true }}{{ 1 < 2 < 3 }}{{ 'x' if false }}",
            "2TrueTrue",
        ),
        (
            "{{ 'abc'[1:] }}{{ 'abc'[-1] }}{{ [1, 2, 3][::-1] }}{{ 'a' in 'abc' }}{{ 1 not in [1] }}",
            "bcc[3, 2, 1]TrueFalse",
        ),
    ]);
}

#[test]
fn texts_lists_and_dictionaries_have_pythons_methods() {
    holds(&[
        (
            "{% set x = [] %}{% for i in range(3) %}{% do x.append(i * 2) %}{% endfor %}{{ x | join(', ') }}",
            "0, 2, 4",
        ),
        (
            "{{ 'a,b'.split(',') }}{{ \"'%s' %05.1f\" % ('x', 3) }}{{ '{} {b:>4}'.format(1, b=2) }}",
            "['a', 'b']'x' 003.01    2",
        ),
        (
            "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{{ ',' if not loop.last }}{% endfor %}",
            "a1,b2",
        ),
        (
            "{{ 'x-y'.replace('-', '_').upper() }}{{ ' a '.strip() }}{{ 'ab'.startswith('a') }}",
            "X_YaTrue",
        ),
        (
            "{% set d = {} %}{% do d.update({'a': [1]}) %}{{ d.get('b', 5) }}{{ d.a[0] }}{{ 'a' in d }}",
            "51True",
        ),
        (
            "{{ set([1, 1, 2]) | length }}{{ zip([1, 2], ['x', 'y']) | list }}",
            "2[(1, 'x'), (2, 'y')]",
        ),
    ]);
}

#[test]
fn blocks_scopes_and_blanks_are_jinjas() {
    holds(&[
        ("a {%- if true -%} b {%- endif %} c", "ab c"),
        (
            "{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}",
            "1",
        ),
        ("{% if true %}{% set x = 2 %}{% endif %}{{ x }}", "2"),
        (
            "{% set ns = namespace(t=0) %}{% for i in [1, 2] %}{% set ns.t = ns.t + i %}{% endfor %}{{ ns.t }}",
            "3",
        ),
        (
            "{% for i in [] %}{{ i }}{% else %}none{% endfor %}{% for i in [1, 2, 3] if i != 2 %}{{ loop.index }}{% endfor %}",
            "none12",
        ),
        (
            "{% raw %}{{ x }}{% endraw %}{# c #}{%- set y -%} a {%- endset -%}{{ y }}",
            "{{ x }}a",
        ),
        (
            "{% filter upper %}a{% endfilter %}{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}",
            "A3",
        ),
    ]);
}

#[test]
fn macros_return_take_arguments_and_call_their_callers() {
    holds(&[
        (
            "{% macro m(a, b=2) %}{{ a }}{{ b }}{{ kwargs }}{{ varargs }}{% endmacro %}{{ m(1, 2, 3, c=4) }}",
            "12{'c': 4}(3,)",
        ),
        (
            "{% macro m(a) %}{% if a %}{{ return([a]) }}{% endif %}x{% endmacro %}{{ m(1)[0] }}{{ m(0) }}",
            "1x",
        ),
        (
            "{% macro w() %}<{{ caller() }}>{% endmacro %}{% call w() %}hi{% endcall %}",
            "<hi>",
        ),
        (
            "{% macro f(n) %}{{ return(1 if n < 2 else n * f(n - 1)) }}{% endmacro %}{{ f(10) }}",
            "3628800",
        ),
    ]);
    assert_eq!(
        rendered("{% macro m(a) %}{% endmacro %}{{ m(b=1) }}"),
        Err("macro m has no argument b".to_string())
    );
    assert_eq!(rendered("{{ m(1) }}"), Err("m is not defined".to_string()));
}

#[test]
fn undefined_names_are_empty() {
    holds(&[(
        "{{ x }}{{ x.y.z }}{{ x is defined }}{{ x | default('d') }}{% for i in x %}{% endfor %}",
        "Falsed",
    )]);
    assert_eq!(
        rendered("{{ x + 1 }}"),
        Err("+ cannot take x, which is not defined and a number".to_string())
    );
}

#[test]
fn loops_are_left_and_gone_on_with() {
    holds(&[
        (
            "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% else %}none{% endfor %}",
            "0134",
        ),
        (
            "{% for i in [1, 2] %}{% for j in 'abc' %}{% if j == 'b' %}{% break %}{% endif %}{{ i }}{{ j }}{% endfor %};{% endfor %}",
            "1a;2a;",
        ),
        (
            "{% for i in [1, 2, 3] %}{% set x %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% endset %}{{ x }}{% endfor %}",
            "13",
        ),
    ]);
    for template in [
        "{% break %}",
        "{% for i in [1] %}{% macro f() %}{% continue %}{% endmacro %}{% endfor %}",
        "{% for i in [] %}{% else %}{% break %}{% endfor %}",
    ] {
        let outcome = rendered(template).unwrap_err();
        let expected = "stands outside of a for loop";
        assert!(outcome.ends_with(expected), "{template}: {outcome}");
    }
}

#[test]
fn round_goes_by_the_digits_that_a_float_has() {
    holds(&[(
        "{{ 2.675 | round(2) }} {{ 2.5 | round }} {{ 3.5 | round }} {{ 1.005 | round(2) }} {{ 1250.0 | round(-2) }} {{ 7 | round(1) }} {{ 2.671 | round(2, 'ceil') }}",
        "2.67 2.0 4.0 1.0 1200.0 7 2.68",
    )]);
}

#[test]
fn dates_are_counted_as_pythons_are() {
    holds(&[
        (
            "{{ modules.datetime.date(2024, 1, 31) + modules.datetime.timedelta(days=1) }}",
            "2024-02-01",
        ),
        (
            "{{ modules.datetime.datetime(2024, 1, 31, 5).strftime('%Y/%m/%d %H') }}",
            "2024/01/31 05",
        ),
        (
            "{{ (modules.datetime.date(2024, 3, 1) - modules.datetime.date(2024, 2, 1)).days }}",
            "29",
        ),
        (
            "{{ modules.datetime.datetime.strptime('2024-02-29', '%Y-%m-%d').isoformat() }}",
            "2024-02-29T00:00:00",
        ),
    ]);
}

#[test]
fn no_template_can_stop_or_take_down_who_renders_it() {
    for template in [
        "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
        "{% for i in range(10**9) %}{% endfor %}",
        "{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 10**12 }}",
        "{% set ns = namespace(x='x') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% do ns.x.extend(ns.x) %}{% endfor %}",
        "{% set ns = namespace(x=[]) %}{% for i in range(20000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
        "{{ 'x'.center(10**15) }}",
        "{{ '%0999999999d' % 1 }}",
        "{{ '{:999999999}'.format(1) }}",
        "{% set x = [] %}{% do x.append(x) %}{{ x }}",
        "{% set x = [] %}{% do x.append(x) %}{{ x == [x] }}{{ x | tojson }}",
        "{{ ('x' * 10**5).replace('x', 'y' * 10**5) }}",
        "{{ range(10**9) | list }}",
        "{{ ('ab' * 10**4) | join('x' * 10**5) }}",
        "{{ [1, 2] | batch(10**12, 0) | list }}",
        "{{ 'a' | indent(10**12, true) }}",
        "{{ 10 ** 100 }}",
        "{{ 9223372036854775807 + 1 }}",
        "{{ (-9223372036854775807 - 1) // -1 }}",
        "{{ 1 % 0 }}",
    ] {
        let outcome = rendered(template);
        assert!(outcome.is_err(), "{template}: {outcome:?}");
    }
    for template in [
        format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("{{{{ {}1 }}}}", "1+".repeat(100_000)),
        format!("{{{{ {}1 }}}}", "not ".repeat(100_000)),
        format!("{{{{ x{} }}}}", "|upper".repeat(100_000)),
        "{% if 1 %}".repeat(100_000),
        "{{ '".repeat(1000),
    ] {
        assert!(rendered(&template).is_err(), "{}", &template[..40]);
    }
}
