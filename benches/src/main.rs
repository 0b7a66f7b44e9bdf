//! The yardsticks: servers to measure against, a load driver, cassettes of any size, and what compares them.

mod answers;
mod arguments;
mod compare;
mod disk;
mod fleet;
mod h1;
mod h2;
mod limit;
mod load;
mod machine;
mod pipeline;
mod process;
mod table;
mod tape;
mod tls;
mod workload;

use arguments::Arguments;

type Fault = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "\
yardstick compare --deck FILE --out DIR [--rounds N] [--seconds S] [--only TEXT;…] [--million] [--peers SCRIPT,…]
yardstick load --address ADDR [--via plain|tls|connect] [--http2] [--connections N] [--users N] [--recorded] [--seconds S] [--pid PID]
yardstick tape --users N --out FILE
yardstick limit plain|tls|connect|upstream [--answer FILE] [--certificate FILE] [--users N --dir DIR]
yardstick limit proxy --upstream ADDR --certificate FILE
yardstick send --address ADDR --count N [--users N] [--via plain|tls|connect] [--limit] [--turns]
yardstick disk --dir DIR";

fn main() {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let arguments = Arguments::parse(words);
    let outcome = match command.as_str() {
        "compare" => compare::run(&arguments),
        "load" => load::command(&arguments),
        "send" => load::send(&arguments),
        "tape" => tape::command(&arguments),
        "limit" => limit::command(&arguments),
        "disk" => disk::command(&arguments),
        _ => Err(format!("usage:\n{USAGE}").into()),
    };
    if let Err(fault) = outcome {
        eprintln!("yardstick {command}: {fault}");
        std::process::exit(2);
    }
}
