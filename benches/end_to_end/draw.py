"""Draws the throughput of each tunnel as bars. Plain SVG; its colours can be read on white and on black."""

from html import escape

WIDTH, LEFT, BAR, GAP = 760, 230, 13, 9
GREY, OURS, THEIRS = "#808890", "#2f81f7", "#9a7d2e"


def chart(figures):
    names = [name for name in figures.tunnels("tcp") if name != "no tunnel"]
    values = {
        name: [(label, figures.both_ways(load, name, "gbits")) for load, label in (("tcp", "veth"), ("wire", "wire"))]
        for name in names
    }
    most = max(value for pairs in values.values() for _, value in pairs if value)
    scale = (WIDTH - LEFT - 110) / most
    parts, top = [], 34
    for name in names:
        colour = OURS if name.startswith("vpnd") else THEIRS
        parts.append(write(LEFT - 12, top + BAR, name, "end"))
        for row, (label, value) in enumerate(values[name]):
            if value is None:
                continue
            y = top + row * (BAR + 2)
            opacity = 1 if row == 0 else 0.55
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{max(value * scale, 1):.1f}" height="{BAR}" fill="{colour}" opacity="{opacity}"/>'
            )
            parts.append(write(LEFT + value * scale + 6, y + BAR - 2, f"{value:.2f} {label}", "start"))
        top += 2 * (BAR + 2) + GAP
    title = write(LEFT, 20, "TCP, one flow, Gbit/s: mean of both directions", "start")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 6}" width="{WIDTH}" height="{top + 6}" '
        f'font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="Throughput of each tunnel">\n'
        + "\n".join([title, *parts])
        + "\n</svg>\n"
    )


def write(x, y, text, anchor):
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{GREY}" text-anchor="{anchor}">{escape(text)}</text>'
