/** Where the links are in a text. Only http and https become links; all else stays text. */
/** A piece of a text; `href` makes it a link. */
export interface Piece {
    readonly text: string;
    readonly href: string | null;
}
/** Cut a text into pieces that together are the text. */
export declare function linkify(text: string): Piece[];
/** Is it nothing but a few emoji? They are shown large. */
export declare function isJustEmoji(text: string): boolean;
