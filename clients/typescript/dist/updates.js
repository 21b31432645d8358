/** What a stream gives. Stamps are texts, `2024-01-02T14:30:00.123456Z`. */
const PLACED = new Set([
    ...["trade", "quote", "bar", "option", "financial", "corporate_action"],
    ...["tick_delete", "bar_delete", "ticker_rename"],
]);
/** Every other type of ticks has the name that its writer gave it. */
export function asUpdate(frame) {
    if (PLACED.has(frame.type))
        return frame;
    return { ...frame, type: "tick", dataType: frame.type };
}
