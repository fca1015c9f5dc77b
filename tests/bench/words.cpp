#include "tests/bench/words.h"

namespace fieldpost::bench {

namespace {

// ---- for measuring ----
constexpr Name kFamilies[] = {
    {"សុខ", "SOK"},    {"ចាន់", "CHAN"},  {"គឹម", "KIM"},  {"លី", "LY"},     {"ហេង", "HENG"},
    {"ម៉ៅ", "MAO"},    {"ឈុន", "CHHUN"},  {"ប៊ុន", "BUN"},  {"ងួន", "NGUON"}, {"ពេជ្រ", "PICH"},
    {"ទេព", "TEP"},   {"នួន", "NUON"},   {"សំ", "SAM"},   {"អ៊ុក", "OUK"},   {"យឹម", "YIM"},
    {"ឡុង", "LONG"},   {"តាំង", "TAING"}, {"វ៉ាន់", "VAN"}, {"ផាន់", "PHAN"}, {"ខៀវ", "KHIEV"},
    {"ប្រាក់", "PRAK"}, {"ស៊ិន", "SIN"},    {"រស់", "ROS"},  {"ជា", "CHEA"},
};
constexpr Name kGiven[] = {
    {"សុភា", "SOPHEA"},   {"វណ្ណា", "VANNA"},    {"ដារ៉ា", "DARA"},       {"សុផល", "SOPHAL"},
    {"ពិសិដ្ឋ", "PISETH"},  {"ស្រីមុំ", "SREYMOM"},   {"បុប្ផា", "BOPHA"},      {"រតនា", "RATANA"},
    {"វិចិត្រ", "VICHET"},  {"សំណាង", "SAMNANG"},  {"ចន្ថា", "CHANTHA"},    {"សុវណ្ណ", "SOVANN"},
    {"ណារិន", "NARIN"},   {"កុសល", "KOSAL"},     {"មករា", "MAKARA"},     {"ធីតា", "THIDA"},
    {"វិសាល", "VISAL"},   {"សុខហេង", "SOKHENG"}, {"លក្ខិណា", "LEAKHENA"},  {"បញ្ញា", "PANHA"},
    {"រស្មី", "RAKSMEY"},  {"សុធារី", "SOTHEARY"}, {"ចាន់ធូ", "CHANTHOU"},   {"ភារុណ", "PHEARUN"},
    {"ម៉ានិត", "MANIT"},   {"កល្យាណ", "KALYAN"},  {"ឧត្តម", "OUDOM"},      {"សុជាតា", "SOCHEATA"},
    {"វាសនា", "VEASNA"}, {"ធារ៉ា", "THEARA"},   {"សុគន្ធា", "SOKUNTHEA"}, {"ពុទ្ធី", "PUTHY"},
    {"នីតា", "NITA"},     {"សីហា", "SEIHA"},     {"ច័ន្ទរ៉ា", "CHANRA"},    {"មុនី", "MONY"},
    {"រដ្ឋា", "RATHA"},   {"ដាវី", "DAVY"},      {"សារឿន", "SAROEUN"},   {"វុទ្ធី", "VUTHY"},
};
constexpr const char* kGrounds[] = {
    "Smell of solvent from the rear of the vehicle",
    "Driver's account of the journey kept changing",
    "Matches a vehicle named in this week's circular",
    "Dog indicated at the spare wheel well",
    "Fresh weld marks under the load floor",
    "Passenger tried to leave before the papers were shown",
    "Cargo does not agree with the manifest",
    "Number plate screws newer than the plate",
    "Tip-off about a parcel from the river landing",
    "Nervous, sweating, avoided every question",
    "Weight on the axle too high for the load declared",
    "Seen turning round before the checkpoint",
};
constexpr const char* kRemarks[] = {
    "nothing found in the cabin",
    "two telephones without cards",
    "papers of another owner",
    "false floor opened",
    "driver says hired yesterday",
    "bags sealed with brown tape",
    "load re-packed afterwards",
    "no objection raised",
    "interpreter was called by telephone",
    "photographs taken at the post",
    "second officer present throughout",
    "passed on to the night shift",
};
constexpr const char* kColours[] = {"black", "white",      "red",  "silver",         "blue",
                                    "grey",  "dark green", "gold", "white over blue"};
constexpr const char* kPackagings[] = {"blue zip bags in a tea tin",
                                       "vacuum foil, brown tape",
                                       "drinking straws, heat sealed",
                                       "rice sack lined with plastic",
                                       "tyre tube",
                                       "noodle boxes, glued"};
constexpr const char* kLogos[] = {"WY", "R", "999", "Y1", "green butterfly", "none"};
constexpr const char* kSubstances[] = {"ephedrine",   "acetic anhydride",  "toluene",
                                       "safrole oil", "hydrochloric acid", "acetone"};
constexpr const char* kPlaces[] = {"010801", "010803", "010604", "020402", "170901",
                                   "171006", "110202", "190105", "211004", "230301"};

// ---- for training ----
constexpr Name kOtherFamilies[] = {
    {"ហ៊ុន", "HUN"},   {"ស", "SAR"},    {"កែវ", "KEO"},   {"ទូច", "TOUCH"}, {"មាស", "MEAS"},
    {"ឃុន", "KHUN"},  {"ញ៉ែម", "NHEM"}, {"អ៊ិន", "IN"},     {"សៅ", "SAO"},   {"តូច", "TAUCH"},
    {"ឈឹម", "CHHIM"}, {"លឹម", "LIM"},   {"ភួង", "PHUONG"}, {"យ៉ង់", "YANG"},  {"គង់", "KONG"},
    {"ប៉ែន", "PEN"},  {"សួន", "SUON"},  {"ទិត", "TITH"},   {"ឌុក", "DOUK"},  {"អ៊ឹម", "IM"},
    {"ហង្ស", "HANG"}, {"ស្រី", "SREY"},  {"ថោង", "THONG"}, {"នេត", "NETH"},
};
constexpr Name kOtherGiven[] = {
    {"សុវណ្ណារ៉ា", "SOVANNARA"}, {"ចំណាន", "CHAMNAN"}, {"បូរ៉ា", "BORA"},      {"សោភ័ណ", "SAOPHOAN"},
    {"ភីរុន", "PIRUN"},         {"ស៊ីណា", "SINA"},     {"រិទ្ធី", "RITHY"},     {"មាលា", "MEALEA"},
    {"ស្រីនាង", "SREYNEANG"},   {"ហួត", "HUOT"},      {"ណាវី", "NAVY"},      {"ផល្លា", "PHALLA"},
    {"សារ៉ាត់", "SARATH"},      {"ភក្តី", "PHEAKDEY"}, {"វឌ្ឍនា", "VATHANA"}, {"កញ្ញា", "KANHA"},
    {"តុលា", "TOLA"},          {"មិនា", "MINEA"},    {"ស៊ីថា", "SITHA"},     {"ម៉ារ៉ា", "MARA"},
    {"ចាន់ណា", "CHANNA"},      {"រ៉ាវី", "RAVY"},     {"សុខុម", "SOKHOM"},    {"ពៅ", "POV"},
    {"ផានិត", "PHANITH"},      {"សុភ័ក្រ", "SOPHEAK"}, {"ថាវី", "THAVY"},     {"គន្ធា", "KUNTHEA"},
    {"ឡេង", "LENG"},          {"វិបុល", "VIBOL"},
};
constexpr const char* kOtherGrounds[] = {
    "Panel gap in the left door does not close",
    "Holder of the licence is not the driver",
    "Came by the forest track at night",
    "X-ray image shows a dense block in the load",
    "Route given is impossible in the time given",
    "Vehicle reported by the market post",
    "New paint on one side only",
    "Traces of white powder on the seat",
    "Boat without lights near the landing",
    "Answered for the passenger each time",
};
constexpr const char* kOtherRemarks[] = {
    "seat cover cut open",    "owner informed by radio",        "counted twice",
    "bill of lading copied",  "left at the post until morning", "child asleep on the back seat",
    "receipt read aloud",     "tools kept as exhibits",         "road closed for ten minutes",
    "handed over to customs",
};
constexpr const char* kOtherColours[] = {"beige",  "brown",     "orange", "green",
                                         "yellow", "dark blue", "pearl",  "maroon"};
constexpr const char* kOtherPackagings[] = {"cling film and coffee", "yellow envelopes",
                                            "soap boxes", "bamboo tubes", "jerry can, welded"};
constexpr const char* kOtherLogos[] = {"88", "crown", "OK", "lion", "star"};
constexpr const char* kOtherSubstances[] = {"pseudoephedrine", "phenylacetic acid",
                                            "sulphuric acid", "methylamine", "red phosphorus"};
constexpr const char* kOtherPlaces[] = {"010602", "020601", "040305", "050702", "080904",
                                        "120401", "160203", "180306", "200105"};

constexpr Words kMeasuring{kFamilies,   kGiven, kGrounds,    kRemarks, kColours,
                           kPackagings, kLogos, kSubstances, kPlaces};
constexpr Words kTraining{kOtherFamilies, kOtherGiven,      kOtherGrounds,
                          kOtherRemarks,  kOtherColours,    kOtherPackagings,
                          kOtherLogos,    kOtherSubstances, kOtherPlaces};

}  // namespace

const Words& measuring_words() { return kMeasuring; }
const Words& training_words() { return kTraining; }

}  // namespace fieldpost::bench
