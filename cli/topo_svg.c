/* cli/topo_svg.c — see topo_svg.h.
 *
 * A tree of boxes: machine > package > node > L3 > core > thread. Each box lays its children out in
 * rows up to a width, from the inside out, and is then drawn from the outside in. */
#include "cli/topo_svg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

#define PADDING      10u
#define GAP          8u
#define MARGIN       24u
#define TITLE_HEIGHT 64u
#define LEGEND_ROOM  44u
#define CELL_WIDTH   44u /* Of the table of distances. */
#define CELL_HEIGHT  26u
#define TABLE_MAX    64u /* Nodes shown in it; a larger one would not be read. */
#define LABEL_BYTES  96u

enum level { LEVEL_MACHINE, LEVEL_PACKAGE, LEVEL_NODE, LEVEL_L3, LEVEL_CORE, LEVEL_THREAD, LEVELS };

/* How the boxes of a level look. */
static const struct look {
    const char *fill;
    const char *stroke;
    uint32_t header_height; /* Room for the label. */
    uint32_t row_width;     /* Children beyond it go to the next row. */
    uint32_t radius;
    uint32_t font_size;
} looks[LEVELS] = {
    [LEVEL_MACHINE] = {"none", "none", 0, 1500, 0, 0},
    [LEVEL_PACKAGE] = {"#f4f6f9", "#9aa7b8", 30, 1480, 10, 14},
    [LEVEL_NODE] = {"#e3ebf5", "#8fa6c4", 28, 1460, 8, 13},
    [LEVEL_L3] = {"#fbf3df", "#d3b873", 24, 720, 7, 12},
    [LEVEL_CORE] = {"#ffffff", "#b7bec8", 26, 320, 6, 11},
    [LEVEL_THREAD] = {"#e8edf2", "#aab4c0", 0, 0, 4, 14},
};

/* Kinds of core from the fastest on: the line on top of a core. */
static const char *const kind_colours[] = {"#c2410c", "#0f766e", "#6b7280"};

struct box {
    enum level level;
    uint32_t key; /* Number of the package, node ...: equal keys below one parent are one box. */
    uint32_t x, y, width, height;         /* x and y inside the parent. */
    struct box *first, *last, *next;      /* Children, and the next sibling. */
    const struct rmill_topology_cpu *cpu; /* Of a core its first CPU, of a thread its own. */
    char label[LABEL_BYTES];
    char notes[2][72]; /* Lines below the children. */
};

struct drawing {
    FILE *stream;
    const struct rmill_topology *topology;
    const struct rmill_core_choice *choice;
    struct box *boxes; /* boxes[0] is the machine. */
    uint32_t box_count;
    uint32_t box_max;
};

char *
rmill_topo_size(char to[32], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1024 && unit + 1 < RMILL_ARRAY_COUNT(units)) {
        value /= 1024;
        unit++;
    }
    bool whole = value >= 100 || value - (double)(uint64_t)value < 0.05;

    (void)snprintf(to, 32, whole ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return to;
}

/* --- the tree --- */

static void
node_label(struct box *box, const struct rmill_topology_node *node)
{
    char total[32];
    char spare[32];

    (void)snprintf(box->label, sizeof(box->label), "node %u: %s%s%s%s", node->id,
                   node->memory_bytes > 0 ? rmill_topo_size(total, node->memory_bytes)
                                          : "no memory",
                   node->memory_bytes > 0 ? ", " : "",
                   node->memory_bytes > 0 ? rmill_topo_size(spare, node->memory_free_bytes) : "",
                   node->memory_bytes > 0 ? " free" : "");
    if (node->huge_count > 0) {
        (void)snprintf(box->notes[0], sizeof(box->notes[0]), "2 MiB pages: %llu of %llu free",
                       (unsigned long long)node->huge_free_count,
                       (unsigned long long)node->huge_count);
    }
}

static void
core_notes(struct box *box)
{
    const struct rmill_topology_cpu *cpu = box->cpu;
    char size[32];

    if (cpu->l1d_bytes > 0) {
        (void)snprintf(box->notes[0], sizeof(box->notes[0]), "L1d %.20s",
                       rmill_topo_size(size, cpu->l1d_bytes));
    }
    if (cpu->l2_bytes > 0) {
        (void)snprintf(box->notes[1], sizeof(box->notes[1]), "L2 %.20s",
                       rmill_topo_size(size, cpu->l2_bytes));
    }
}

static void
box_describe(const struct drawing *drawing, struct box *box)
{
    const struct rmill_topology_cpu *cpu = box->cpu;
    char size[32];

    switch (box->level) {
    case LEVEL_PACKAGE:
        (void)snprintf(box->label, sizeof(box->label), "package %u", box->key);
        break;
    case LEVEL_NODE:
        node_label(box, &drawing->topology->nodes[box->key]);
        break;
    case LEVEL_L3:
        (void)snprintf(box->label, sizeof(box->label), "%s %s",
                       cpu->l3_index == RMILL_TOPOLOGY_NO_INDEX ? "no L3" : "L3",
                       cpu->l3_bytes > 0 ? rmill_topo_size(size, cpu->l3_bytes) : "");
        break;
    case LEVEL_CORE:
        (void)snprintf(box->label, sizeof(box->label), "core %u", box->key);
        core_notes(box);
        break;
    case LEVEL_THREAD:
        (void)snprintf(box->label, sizeof(box->label), "%u", box->key);
        break;
    case LEVEL_MACHINE:
    case LEVELS:
        break;
    }
}

/* The child of `parent` with this key, made if it is not there. */
static struct box *
box_child(struct drawing *drawing, struct box *parent, uint32_t key,
          const struct rmill_topology_cpu *cpu)
{
    for (struct box *child = parent->first; child != NULL; child = child->next) {
        if (child->key == key) {
            return child;
        }
    }
    struct box *box = &drawing->boxes[drawing->box_count++];

    *box = (struct box){.level = parent->level + 1, .key = key, .cpu = cpu};
    if (parent->first == NULL) {
        parent->first = box;
    } else {
        parent->last->next = box;
    }
    parent->last = box;
    box_describe(drawing, box);
    return box;
}

static int
tree_make(struct drawing *drawing)
{
    const struct rmill_topology *topology = drawing->topology;

    /* At most one new box per level for each CPU, and two for each node without CPUs. */
    drawing->box_max = 1 + (LEVELS - 1) * topology->cpu_count + 2 * topology->node_count;
    drawing->boxes = calloc(drawing->box_max, sizeof(drawing->boxes[0]));
    if (drawing->boxes == NULL) {
        return -ENOMEM;
    }
    drawing->box_count = 1;
    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        const struct rmill_topology_cpu *cpu = &topology->cpus[i];
        struct box *box = &drawing->boxes[0];

        box = box_child(drawing, box, cpu->package, cpu);
        box = box_child(drawing, box, cpu->node_index, cpu);
        box = box_child(drawing, box, cpu->l3_index, cpu);
        box = box_child(drawing, box, cpu->core_index, cpu);
        (void)box_child(drawing, box, cpu->cpu, cpu);
    }
    for (uint32_t index = 0; index < topology->node_count; index++) {
        if (rmill_cpuset_count(&topology->nodes[index].cpus) == 0) {
            struct box *apart =
                box_child(drawing, &drawing->boxes[0], RMILL_TOPOLOGY_NO_INDEX, NULL);

            (void)snprintf(apart->label, sizeof(apart->label), "memory without CPUs");
            (void)box_child(drawing, apart, index, NULL);
        }
    }
    return 0;
}

/* --- sizes and places --- */

/* Width of a text in a sans-serif font; generous, since the font is the viewer's. */
static uint32_t
text_width(const char *text, uint32_t font_size)
{
    return (uint32_t)strlen(text) * font_size * 3 / 5;
}

static uint32_t
notes_height(const struct box *box)
{
    return (box->notes[0][0] != '\0' ? 14u : 0u) + (box->notes[1][0] != '\0' ? 14u : 0u);
}

/* How many children go into a row: as many as fit, then evenly over the rows this takes. */
static uint32_t
row_count(const struct box *box)
{
    uint32_t widest = 1;
    uint32_t count = 0;

    for (const struct box *child = box->first; child != NULL; child = child->next) {
        widest = (uint32_t)rmill_max_u64(widest, child->width);
        count++;
    }
    uint32_t fitting = (looks[box->level].row_width - PADDING) / (widest + GAP);
    uint32_t rows = fitting > 0 ? (count + fitting - 1) / fitting : count;

    return rows > 0 ? (count + rows - 1) / rows : 1;
}

/* Give the children their places; returns the height they need. */
static uint32_t
children_place(struct box *box, uint32_t y)
{
    const uint32_t per_row = row_count(box);
    uint32_t x = PADDING;
    uint32_t row_height = 0;
    uint32_t in_row = 0;

    for (struct box *child = box->first; child != NULL; child = child->next) {
        if (in_row == per_row) {
            x = PADDING;
            y += row_height + GAP;
            row_height = 0;
            in_row = 0;
        }
        child->x = x;
        child->y = y;
        x += child->width + GAP;
        in_row++;
        row_height = (uint32_t)rmill_max_u64(row_height, child->height);
        box->width = (uint32_t)rmill_max_u64(box->width, child->x + child->width + PADDING);
    }
    return y + row_height;
}

static void
box_layout(struct box *box)
{
    const struct look *look = &looks[box->level];

    if (box->level == LEVEL_THREAD) {
        box->width = 44;
        box->height = 40;
        return;
    }
    box->width = text_width(box->label, look->font_size) + 2 * PADDING;
    for (int i = 0; i < 2; i++) {
        box->width =
            (uint32_t)rmill_max_u64(box->width, text_width(box->notes[i], 10) + 2 * PADDING);
    }
    for (struct box *child = box->first; child != NULL; child = child->next) {
        box_layout(child);
    }
    uint32_t bottom = children_place(box, look->header_height > 0 ? look->header_height : PADDING);

    box->height = bottom + notes_height(box) + (box->first != NULL ? PADDING : 4);
}

/* --- drawing --- */

/* A text at (x, y); `anchor` is start, middle or end. */
static void
text_draw(const struct drawing *drawing, uint32_t x, uint32_t y, const char *style,
          const char *text)
{
    (void)fprintf(drawing->stream, "<text x=\"%u\" y=\"%u\" class=\"%s\">%s</text>\n", x, y, style,
                  text);
}

/* Which cores of the engine are on this CPU: "0", or "0+" when more than one is; "" for none. */
static void
engine_cores_name(const struct drawing *drawing, uint32_t cpu, char name[24])
{
    const struct rmill_core_choice *choice = drawing->choice;
    uint32_t count = 0;

    name[0] = '\0';
    for (uint32_t i = 0; i < choice->count; i++) {
        if (choice->cpus[i] == cpu && count++ == 0) {
            (void)snprintf(name, 24, "engine %u", i);
        }
    }
    if (count > 1) {
        (void)snprintf(name, 24, "%u cores", count);
    }
}

static void
thread_draw(const struct drawing *drawing, const struct box *box, uint32_t x, uint32_t y)
{
    const struct rmill_topology_cpu *cpu = box->cpu;
    char engine[24];

    engine_cores_name(drawing, cpu->cpu, engine);
    bool chosen = engine[0] != '\0';
    const char *style = chosen ? "chosen" : cpu->usable ? "usable" : "foreign";

    (void)fprintf(drawing->stream,
                  "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" rx=\"4\" class=\"%s%s\"/>\n",
                  x, y, box->width, box->height, style, cpu->isolated ? " isolated" : "");
    text_draw(drawing, x + box->width / 2, y + (chosen ? 19 : 25),
              chosen        ? "cpu on"
              : cpu->usable ? "cpu"
                            : "cpu off",
              box->label);
    if (chosen) {
        text_draw(drawing, x + box->width / 2, y + 33, "engine", engine);
    }
}

static void
box_draw(const struct drawing *drawing, const struct box *box, uint32_t x, uint32_t y)
{
    static const char *const classes[LEVELS] = {"", "package", "node", "l3", "core", "thread"};
    const struct look *look = &looks[box->level];

    if (box->level == LEVEL_THREAD) {
        thread_draw(drawing, box, x, y);
        return;
    }
    if (box->level != LEVEL_MACHINE) {
        (void)fprintf(drawing->stream,
                      "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" rx=\"%u\" fill=\"%s\" "
                      "stroke=\"%s\"/>\n",
                      x, y, box->width, box->height, look->radius, look->fill, look->stroke);
        text_draw(drawing, x + PADDING, y + look->header_height - 9, classes[box->level],
                  box->label);
    }
    if (box->level == LEVEL_CORE && drawing->topology->kind_count > 1) {
        uint64_t kind = rmill_min_u64(box->cpu->kind, RMILL_ARRAY_COUNT(kind_colours) - 1);

        (void)fprintf(drawing->stream,
                      "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"4\" rx=\"2\" fill=\"%s\"/>\n",
                      x + 5, y + 2, box->width - 10, kind_colours[kind]);
    }
    uint32_t note_y = y + box->height - notes_height(box) + 6;

    for (int i = 0; i < 2; i++) {
        if (box->notes[i][0] != '\0') {
            text_draw(drawing, x + PADDING, note_y, "note", box->notes[i]);
            note_y += 14;
        }
    }
    for (const struct box *child = box->first; child != NULL; child = child->next) {
        box_draw(drawing, child, x + child->x, y + child->y);
    }
}

static uint32_t
legend_item(const struct drawing *drawing, uint32_t x, uint32_t y, const char *style,
            const char *text)
{
    (void)fprintf(drawing->stream,
                  "<rect x=\"%u\" y=\"%u\" width=\"16\" height=\"16\" rx=\"3\" %s/>\n", x, y,
                  style);
    text_draw(drawing, x + 22, y + 13, "legend", text);
    return x + 22 + text_width(text, 12) + 18;
}

static void
legend_draw(const struct drawing *drawing, uint32_t x, uint32_t y)
{
    const struct rmill_topology *topology = drawing->topology;
    bool isolated = false;

    x = legend_item(drawing, x, y, "class=\"chosen\"", "engine core");
    x = legend_item(drawing, x, y, "class=\"usable\"", "usable");
    x = legend_item(drawing, x, y, "class=\"foreign\"", "not ours");
    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        isolated = isolated || topology->cpus[i].isolated;
    }
    if (isolated) {
        x = legend_item(drawing, x, y, "class=\"usable isolated\"", "isolated");
    }
    for (uint32_t kind = 0; topology->kind_count > 1 && kind < topology->kind_count &&
                            kind < RMILL_ARRAY_COUNT(kind_colours);
         kind++) {
        static const char *const names[] = {"fastest kind", "second kind", "slower kinds"};
        char style[32];

        (void)snprintf(style, sizeof(style), "fill=\"%s\"", kind_colours[kind]);
        x = legend_item(drawing, x, y, style, names[kind]);
    }
}

/* How near: green to itself, then from yellow to red. */
static void
distance_colour(uint32_t distance, char colour[32])
{
    uint32_t far = (uint32_t)rmill_min_u64(distance - RMILL_DISTANCE_LOCAL, 30);

    (void)snprintf(colour, 32, "hsl(%u,65%%,82%%)", 130 - far * 4);
}

static void
distances_draw(const struct drawing *drawing, uint32_t x, uint32_t y, uint32_t count)
{
    const struct rmill_topology_node *nodes = drawing->topology->nodes;
    char text[24];

    text_draw(drawing, x, y + 14, "package", "Distances between nodes");
    y += 24;
    for (uint32_t row = 0; row < count; row++) {
        uint32_t row_y = y + CELL_HEIGHT * (row + 1);

        (void)snprintf(text, sizeof(text), "%u", nodes[row].id);
        text_draw(drawing, x + CELL_WIDTH / 2, row_y + 17, "head", text);
        text_draw(drawing, x + CELL_WIDTH * (row + 1) + CELL_WIDTH / 2, y + 17, "head", text);
        for (uint32_t column = 0; column < count; column++) {
            uint32_t cell_x = x + CELL_WIDTH * (column + 1);
            char colour[32];

            distance_colour(nodes[row].distances[column], colour);
            (void)fprintf(drawing->stream,
                          "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"%s\" "
                          "stroke=\"#ffffff\"/>\n",
                          cell_x, row_y, CELL_WIDTH, CELL_HEIGHT, colour);
            (void)snprintf(text, sizeof(text), "%u", nodes[row].distances[column]);
            text_draw(drawing, cell_x + CELL_WIDTH / 2, row_y + 17, "cell", text);
        }
    }
}

static void
title_draw(const struct drawing *drawing)
{
    const struct rmill_topology *topology = drawing->topology;
    char text[200];

    text_draw(drawing, MARGIN, 32, "title", "The machine as ringmill sees it");
    (void)snprintf(
        text, sizeof(text),
        "%u CPUs on %u physical cores, %u package%s, %u node%s; the engine runs %u core%s",
        topology->cpu_count, topology->core_count, topology->package_count,
        topology->package_count == 1 ? "" : "s", topology->node_count,
        topology->node_count == 1 ? "" : "s", drawing->choice->count,
        drawing->choice->count == 1 ? "" : "s");
    text_draw(drawing, MARGIN, 52, "legend", text);
}

static const char style_sheet[] =
    "<style>text{font-family:\"DejaVu Sans\",Verdana,Helvetica,sans-serif;fill:#1f2933}"
    ".title{font-size:18px;font-weight:bold}.legend{font-size:12px;fill:#4b5563}"
    ".package{font-size:14px;font-weight:bold}.node{font-size:13px;fill:#274472}"
    ".l3{font-size:12px;fill:#7a5c12}.core{font-size:11px;fill:#4b5563}"
    ".note{font-size:10px;fill:#6b7280}.cpu{font-size:14px;text-anchor:middle}"
    ".on{fill:#ffffff;font-weight:bold}.off{fill:#a3abb6}"
    ".engine{font-size:8px;text-anchor:middle;fill:#ffffff}"
    ".head{font-size:12px;text-anchor:middle;font-weight:bold}"
    ".cell{font-size:12px;text-anchor:middle}"
    "rect.chosen{fill:#2563eb;stroke:#1e429f}rect.usable{fill:#e8edf2;stroke:#aab4c0}"
    "rect.foreign{fill:#f7f8fa;stroke:#dde2e8}rect.isolated{stroke-dasharray:4 2;stroke:#7c3aed}"
    "</style>\n";

int
rmill_topo_svg_print(FILE *stream, const struct rmill_topology *topology,
                     const struct rmill_core_choice *choice)
{
    struct drawing drawing = {.stream = stream, .topology = topology, .choice = choice};
    int code = tree_make(&drawing);

    if (code != 0) {
        return code;
    }
    struct box *machine = &drawing.boxes[0];
    uint32_t nodes = (uint32_t)rmill_min_u64(topology->node_count, TABLE_MAX);

    box_layout(machine);
    uint32_t table_width = CELL_WIDTH * (nodes + 1);
    uint32_t table_height = topology->node_count > 1 ? 24 + CELL_HEIGHT * (nodes + 1) + GAP : 0;
    uint32_t width =
        (uint32_t)rmill_max_u64(rmill_max_u64(machine->width, table_width), 620) + 2 * MARGIN;
    uint32_t height = TITLE_HEIGHT + machine->height + LEGEND_ROOM + table_height + MARGIN;

    (void)fprintf(stream,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
                  "viewBox=\"0 0 %u %u\">\n%s<rect width=\"%u\" height=\"%u\" fill=\"#ffffff\"/>\n",
                  width, height, width, height, style_sheet, width, height);
    title_draw(&drawing);
    box_draw(&drawing, machine, MARGIN - PADDING, TITLE_HEIGHT);
    legend_draw(&drawing, MARGIN, TITLE_HEIGHT + machine->height + GAP);
    if (table_height > 0) {
        distances_draw(&drawing, MARGIN, TITLE_HEIGHT + machine->height + LEGEND_ROOM, nodes);
    }
    (void)fprintf(stream, "</svg>\n");
    free(drawing.boxes);
    return 0;
}
