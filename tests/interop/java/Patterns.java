import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.Locale;
import java.util.Scanner;

/** Lines of epoch milliseconds, zone and pattern, with tabs between; for each what Java writes, or "refused". */
public class Patterns {
    public static void main(String[] arguments) {
        Scanner input = new Scanner(System.in);
        while (input.hasNextLine()) {
            String[] asked = input.nextLine().split("\t", -1);
            String written;
            try {
                Instant instant = Instant.ofEpochMilli(Long.parseLong(asked[0]));
                written = DateTimeFormatter.ofPattern(asked[2], Locale.US).format(instant.atZone(ZoneId.of(asked[1])));
            } catch (RuntimeException refused) {
                written = "refused";
            }
            System.out.println(written);
        }
    }
}
