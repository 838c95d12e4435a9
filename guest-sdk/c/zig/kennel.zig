//! What a projection in Zig has beside kennel.h, which is `kennel.c`: documents as structs, text as slices, and panics
//! that arrive as reasons.
//!
//! The root file of a projection says `pub const panic = kennel.panic;` and exports `kennel_describe` and
//! `kennel_handle`.
const std = @import("std");
pub const c = @import("c");

pub const Descriptor = c.kennel_descriptor;
pub const Event = c.kennel_event;
pub const Json = c.kennel_json;
pub const Text = c.kennel_text;

/// A panic rejects the event.
pub const panic = std.debug.FullPanic(rejectPanic);

fn rejectPanic(message: []const u8, _: ?usize) noreturn {
    reject("panic: {s}", .{message});
}

/// This event can never be handled by this code. Its changes are undone.
pub fn reject(comptime format: []const u8, arguments: anytype) noreturn {
    var reason: [2048]u8 = undefined;
    const text_of_reason = write(&reason, format, arguments);
    c.kennel_reject("%.*s", @as(c_int, @intCast(text_of_reason.len)), text_of_reason.ptr);
}

/// What went wrong may pass: the host undoes the event's changes and tries again.
pub fn retry(comptime format: []const u8, arguments: anytype) noreturn {
    var reason: [2048]u8 = undefined;
    const text_of_reason = write(&reason, format, arguments);
    c.kennel_retry("%.*s", @as(c_int, @intCast(text_of_reason.len)), text_of_reason.ptr);
}

/// What fits.
fn write(buffer: []u8, comptime format: []const u8, arguments: anytype) []const u8 {
    var writer: std.Io.Writer = .fixed(buffer);
    writer.print(format, arguments) catch {};
    return writer.buffered();
}

pub fn text(from: []const u8) Text {
    return .{ .data = from.ptr, .length = from.len };
}

pub fn slice(from: Text) []const u8 {
    return if (from.length == 0) "" else from.data[0..from.length];
}

pub fn is(from: Text, expected: []const u8) bool {
    return std.mem.eql(u8, slice(from), expected);
}

/// A list of names for a descriptor.
pub fn names(comptime list: []const [*:0]const u8) [*c]const [*c]const u8 {
    const ended = comptime blk: {
        var made: [list.len + 1][*c]const u8 = undefined;
        for (list, 0..) |name, i| made[i] = name;
        made[list.len] = null;
        break :blk made;
    };
    return &struct {
        const all = ended;
    }.all;
}

/// A member that is a list.
pub fn List(comptime T: type) type {
    return extern struct {
        items: ?*anyopaque = null,
        count: usize = 0,

        pub const Element = T;

        /// The elements stay where they are: they have to be there until the list is written.
        pub fn of(elements: []T) @This() {
            return .{ .items = elements.ptr, .count = elements.len };
        }

        pub fn slice(list: @This()) []T {
            const first: [*]T = @ptrCast(@alignCast(list.items orelse return &.{}));
            return first[0..list.count];
        }
    };
}

/// The shape of a struct: its members are `Text`, `i64`, `u64`, `f64`, `bool`, `Json`, structs, and lists of these. One
/// with a default value may be missing or null, and is zero then.
pub fn shape(comptime T: type) *const c.kennel_shape {
    const info = @typeInfo(T).@"struct";
    const made = struct {
        const fields: [info.field_names.len]c.kennel_field = blk: {
            var list: [info.field_names.len]c.kennel_field = undefined;
            for (&list, info.field_names, info.field_types, info.field_attrs) |*field, name, Field, attributes| {
                const Value = if (isList(Field)) Field.Element else Field;
                field.* = .{
                    .name = name,
                    .type = kindOf(Value),
                    .is_optional = attributes.default_value_ptr != null,
                    .offset = @offsetOf(T, name),
                    .shape = if (kindOf(Value) == c.KENNEL_TYPE_OBJECT) shape(Value) else null,
                    .is_list = isList(Field),
                };
            }
            break :blk list;
        };
        const all: c.kennel_shape = .{
            .name = @typeName(T),
            .size = @sizeOf(T),
            .fields = &fields,
            .field_count = fields.len,
        };
    };
    return &made.all;
}

fn isList(comptime Field: type) bool {
    return @typeInfo(Field) == .@"struct" and @hasDecl(Field, "Element");
}

fn kindOf(comptime Field: type) c.kennel_type {
    switch (Field) {
        Text => return c.KENNEL_TYPE_TEXT,
        i64 => return c.KENNEL_TYPE_INTEGER,
        u64 => return c.KENNEL_TYPE_UNSIGNED,
        f64 => return c.KENNEL_TYPE_NUMBER,
        bool => return c.KENNEL_TYPE_BOOLEAN,
        Json => return c.KENNEL_TYPE_JSON,
        else => {},
    }
    if (@typeInfo(Field) == .@"struct") return c.KENNEL_TYPE_OBJECT;
    @compileError("a document has no member of type " ++ @typeName(Field));
}

/// The event's payload. The event is rejected if it does not fit.
pub fn payload(event: *const Event, comptime T: type) T {
    var out: T = undefined;
    c.kennel_payload(event, shape(T), &out);
    return out;
}

/// Reads a document, if there is one. The event is rejected if it does not fit.
pub fn get(collection: [*:0]const u8, key: Text, comptime T: type) ?T {
    var out: T = undefined;
    return if (c.kennel_get(collection, key, shape(T), &out)) out else null;
}

/// Writes a whole document.
pub fn put(collection: [*:0]const u8, key: Text, value: anytype) void {
    c.kennel_put(collection, key, shape(@TypeOf(value)), &value);
}

/// Adds to a whole-number field at the top of a document. It reads nothing and never conflicts with other workers.
pub fn increment(collection: [*:0]const u8, key: Text, field: [*:0]const u8, by: i64) void {
    c.kennel_increment(collection, key, field, by);
}
