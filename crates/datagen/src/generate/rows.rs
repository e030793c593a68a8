//! The rows of the five sources as small integers; text is made when they are written.

use std::fmt::Write;

/// Microseconds since 1970, UTC.
pub(crate) type Moment = i64;

pub(crate) const SECOND: Moment = 1_000_000;
pub(crate) const DAY: Moment = 86_400 * SECOND;

/// Where a customer or seller lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// Number in the list of all addresses.
    pub address: u32,
    /// Five digits.
    pub zip: u32,
    /// Four more digits that some rows have; 0 = none.
    pub zip_plus: u16,
    /// Index into [`STATES`].
    pub state: u8,
}

/// A row of `customers` or `sellers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartyRow {
    pub id: Option<u64>,
    pub place: Address,
    pub created: Option<Moment>,
    pub updated: Option<Moment>,
}

/// A row of `products`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProductRow {
    pub id: Option<u64>,
    /// Index into [`CATEGORIES`].
    pub category: u8,
    /// Number in the list of all names.
    pub name: u32,
    /// Index into [`SIZES`].
    pub size: u8,
    pub width_cm: u16,
    pub length_cm: u16,
    pub height_cm: u16,
    pub price_cents: i64,
    pub created: Option<Moment>,
    pub updated: Option<Moment>,
}

/// A row of `orders`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OrderRow {
    pub id: Option<u64>,
    pub customer: Option<u64>,
    /// As the marketplace writes it, in any case.
    pub status: Option<&'static str>,
    pub purchase: Option<Moment>,
    pub approved: Option<Moment>,
    pub carrier: Option<Moment>,
    pub delivered: Option<Moment>,
    pub estimated: Option<Moment>,
}

/// A row of `order_items`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ItemRow {
    pub order: u64,
    /// Counts from 1 within the order.
    pub number: u32,
    pub product: Option<u64>,
    pub seller: Option<u64>,
    pub shipping_limit: Option<Moment>,
    pub price_cents: Option<i64>,
    pub freight_cents: Option<i64>,
}

/// Status by stage, each as it is written: the first spelling is the usual one.
pub(crate) const STATUSES: [[&str; 3]; 4] = [
    ["PROCESSING", "processing", "Processing"],
    ["APPROVED", "approved", "Approved"],
    ["SHIPPED", "shipped", "Shipped"],
    ["DELIVERED", "delivered", "Delivered"],
];

pub(crate) const STATES: [&str; 51] = [
    "CA", "TX", "FL", "NY", "PA", "IL", "OH", "GA", "NC", "MI", "NJ", "VA", "WA", "AZ", "TN", "MA",
    "IN", "MD", "MO", "WI", "CO", "MN", "SC", "AL", "LA", "KY", "OR", "OK", "CT", "UT", "IA", "NV",
    "AR", "KS", "MS", "NM", "NE", "ID", "WV", "HI", "NH", "ME", "MT", "RI", "DE", "SD", "ND", "AK",
    "VT", "WY", "DC",
];

const STREETS: [&str; 20] = [
    "Oak Street",
    "Maple Avenue",
    "Cedar Lane",
    "Pine Road",
    "Elm Street",
    "Washington Avenue",
    "Lake View Drive",
    "Hill Road",
    "Main Street",
    "Park Avenue",
    "Sunset Boulevard",
    "River Road",
    "Church Street",
    "Highland Avenue",
    "Mill Lane",
    "Forest Drive",
    "Meadow Way",
    "Spring Street",
    "2nd Street",
    "O'Connell Court",
];
const HOUSES: u32 = 9_999;
/// How many different addresses there are.
pub(crate) const ADDRESSES: u32 = HOUSES * STREETS.len() as u32;

pub(crate) const CATEGORIES: [&str; 24] = [
    "audio",
    "auto",
    "baby",
    "bed & bath",
    "books",
    "cameras",
    "computers",
    "cool stuff",
    "fashion",
    "food",
    "furniture",
    "garden",
    "health & beauty",
    "housewares",
    "luggage",
    "musical instruments",
    "office",
    "perfume",
    "pet shop",
    "small appliances",
    "sports",
    "telephony",
    "tools",
    "toys",
];
pub(crate) const SIZES: [&str; 5] = ["XS", "S", "M", "L", "XL"];
const ADJECTIVES: [&str; 16] = [
    "Classic",
    "Compact",
    "Daily",
    "Deluxe",
    "Eco",
    "Essential",
    "Foldable",
    "Handmade",
    "Light",
    "Mini",
    "Premium",
    "Pro",
    "Smart",
    "Soft",
    "Travel",
    "Ultra",
];
const NOUNS: [&str; 20] = [
    "Backpack",
    "Blanket",
    "Bottle",
    "Camera",
    "Chair",
    "Drill",
    "Headphones",
    "Jacket",
    "Kettle",
    "Keyboard",
    "Lamp",
    "Mirror",
    "Mug",
    "Notebook",
    "Pillow",
    "Racket",
    "Shelf",
    "Speaker",
    "Tent",
    "Watch",
];
/// How many different product names there are.
pub(crate) const NAMES: u32 = (ADJECTIVES.len() * NOUNS.len()) as u32 * 100;

/// `C000000042`: fixed width, so that the order of texts is the order of numbers.
pub(crate) fn write_id(out: &mut String, letter: char, id: u64) {
    let _ = write!(out, "{letter}{id:09}");
}

/// `17 Oak Street`, every seventh with a flat after a comma.
pub(crate) fn write_address(out: &mut String, address: u32) {
    let (house, street) = (
        address % HOUSES + 1,
        (address / HOUSES) as usize % STREETS.len(),
    );
    let _ = write!(out, "{house} {}", STREETS[street]);
    if address.is_multiple_of(7) {
        let _ = write!(out, ", Apt {}", house % 40 + 1);
    }
}

/// `02134` or `02134-5678`.
pub(crate) fn write_zip(out: &mut String, place: &Address) {
    let _ = write!(out, "{:05}", place.zip);
    if place.zip_plus > 0 {
        let _ = write!(out, "-{:04}", place.zip_plus);
    }
}

/// `Compact Lamp 7"`: some with a quote in them, as files have it.
pub(crate) fn write_name(out: &mut String, name: u32) {
    let (adjective, rest) = (
        name as usize % ADJECTIVES.len(),
        name as usize / ADJECTIVES.len(),
    );
    let (noun, number) = (rest % NOUNS.len(), rest / NOUNS.len() % 100);
    let _ = write!(out, "{} {} {number}", ADJECTIVES[adjective], NOUNS[noun]);
    if number == 7 {
        out.push('"');
    }
}

/// What `write` makes, as a text of its own.
pub(crate) fn text(write: impl FnOnce(&mut String)) -> String {
    let mut out = String::new();
    write(&mut out);
    out
}
