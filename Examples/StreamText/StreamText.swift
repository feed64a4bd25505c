import Sluice

@main
struct StreamText {
  static func main() {}
}
